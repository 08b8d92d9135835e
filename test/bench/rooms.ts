import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { median } from './load.ts'
import { joinAs, type RoomClient } from './room-client.ts'
import { killings } from './room-kills.ts'
import { marked, marksIn } from './room-marks.ts'
import { type Address, type Contender, contenders } from './room-peers.ts'
import { said } from './table.ts'

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 8)
/** Of the clients and of what they send: a tenth shows that a row runs to its end. */
const SHARE = Number(process.env['BENCH_SHARE'] ?? 1)
const share = (of: number): number => Math.max(2, Math.round(of * SHARE))

/** What one run of a workload measured. */
type Figures = Readonly<Record<string, number>>

/** A workload, on whom it runs, and what ours must keep to. */
interface Workload {
  readonly name: string
  readonly on: readonly (keyof ReturnType<typeof contenders>)[]
  readonly run: (contender: Contender) => Promise<Figures>
  readonly bars: Readonly<Record<string, number>>
}

/** A hundredth of a second: what the kernel counts processor time in. */
const TICK_US = 10_000
const cpuUs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}
const residentMb = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

const quantile = (values: readonly number[], q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** Looks again until it holds, or until so much time has passed. */
async function settle(holds: () => boolean, seconds: number): Promise<void> {
  const until = performance.now() + seconds * 1000
  while (!holds() && performance.now() < until) await wait(20)
}

/** A document that says each change instead of keeping company. */
function writing(): { readonly doc: Y.Doc; readonly change: (work: (doc: Y.Doc) => void) => Uint8Array } {
  const doc = new Y.Doc()
  let last = new Uint8Array()
  doc.on('update', (update: Uint8Array) => {
    last = new Uint8Array(update)
  })
  return {
    doc,
    change(work) {
      work(doc)
      return last
    },
  }
}

const leave = async (clients: readonly RoomClient[]): Promise<void> => {
  for (const { socket } of clients) socket.terminate()
  await Promise.all(clients.map(({ closed }) => closed))
}

/** Joins a few at a time, as people come. */
async function joinMany(
  addressOf: (client: number) => Address,
  many: number,
  onFrame?: (frame: Uint8Array) => void,
): Promise<RoomClient[]> {
  const clients: RoomClient[] = []
  for (let i = 0; i < many; i += 25)
    clients.push(...(await Promise.all(Array.from({ length: Math.min(25, many - i) }, (_, k) => joinAs(addressOf(i + k), onFrame)))))
  return clients
}

const fanOut =
  (perSecond: number, readersMax = 90) =>
  async (contender: Contender): Promise<Figures> => {
    const addressOf = await contender.openRoom()
    const sentAt: number[] = []
    const times: number[] = []
    const hear = (frame: Uint8Array) => marksIn(frame, (n) => sentAt[n] !== undefined && times.push(performance.now() - sentAt[n]))
    const senders = await Promise.all(Array.from({ length: share(10) }, (_, i) => joinAs(addressOf(i))))
    const readers = await joinMany((i) => addressOf(i + 10), share(readersMax), hear)
    const stirring = setInterval(() => readers.map((reader) => reader.stir()), 2_000)
    const writers = senders.map(() => writing())
    const before = cpuUs(contender.pid)
    const startedAt = performance.now()
    const total = Math.round(perSecond * SHARE * SECONDS)
    for (let n = 0; n < total; n++) {
      const due = startedAt + (n * 1000) / (perSecond * SHARE)
      if (due > performance.now()) await wait(due - performance.now())
      const i = n % senders.length
      const update = writers[i]?.change((doc) => doc.getText(`t${i}`).insert(0, marked(n)))
      sentAt[n] = performance.now()
      if (update) senders[i]?.send(update)
    }
    await settle(() => times.length >= total * readers.length, 20)
    clearInterval(stirring)
    const spent = cpuUs(contender.pid) - before
    const seconds = (performance.now() - startedAt) / 1000
    await leave([...senders, ...readers])
    return {
      'deliveries/s': times.length / seconds,
      'p50 ms': quantile(times, 0.5),
      'p99 ms': quantile(times, 0.99),
      'µs a delivery': spent / times.length,
      missing: total * readers.length - times.length,
    }
  }

/** Providers renew what they show every 15 to 18 seconds, so by then the first renewals are folded. */
const SETTLED_MS = 30_000
/** Type of a y-websocket message that tells of presences. */
const AWARENESS = 1

/** Unmodified providers that do nothing, and edits every quarter of a second. */
const idlePresence =
  (many: number) =>
  async (contender: Contender): Promise<Figures> => {
    const addressOf = await contender.openRoom()
    const heard = { presence: 0, edits: 0 }
    let sent = 0
    class Counted extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { perMessageDeflate: false })
        this.on('message', (data: ArrayBuffer) => void heard[new Uint8Array(data)[0] === AWARENESS ? 'presence' : 'edits']++)
      }
      override send(data: Parameters<WebSocket['send']>[0]): void {
        sent++
        super.send(data)
      }
    }
    const providers = Array.from({ length: share(many) }, (_, i) => {
      const { url, protocols } = addressOf(i)
      const at = url.lastIndexOf('/')
      const options = { protocols: [...protocols], disableBc: true, WebSocketPolyfill: Counted as unknown as typeof globalThis.WebSocket }
      return new WebsocketProvider(url.slice(0, at), url.slice(at + 1), new Y.Doc(), options)
    })
    await settle(() => providers.every((provider) => provider.synced), 60)
    const sentAt: number[] = []
    const times: number[] = []
    const hear = (frame: Uint8Array) => marksIn(frame, (n) => sentAt[n] !== undefined && times.push(performance.now() - sentAt[n]))
    const [writer, reader] = [await joinAs(addressOf(0)), await joinAs(addressOf(1), hear)]
    const { change } = writing()
    await wait(SETTLED_MS * SHARE)
    Object.assign(heard, { presence: 0, edits: 0 })
    sent = 0
    const edits = Math.max(8, Math.round(4 * SECONDS * 8))
    for (let n = 0; n < edits; n++) {
      sentAt[n] = performance.now()
      writer.send(change((doc) => doc.getText('t').insert(0, marked(n))))
      if (n % 8 === 0) reader.stir()
      await wait(250)
    }
    await settle(() => times.length >= edits, 10)
    const seconds = edits / 4
    const figures = {
      'presence frames/s out': heard.presence / seconds,
      'in for 100 clients': (100 * sent) / seconds / providers.length,
      'edits/s to each': heard.edits / seconds / providers.length,
      missing: edits - times.length,
    }
    for (const provider of providers) provider.destroy()
    await leave([writer, reader])
    return { 'edit p50 ms': quantile(times, 0.5), 'edit p99 ms': quantile(times, 0.99), ...figures }
  }

/** Positions and texts of single keystrokes: of a recorded trace where one is at hand, else of a text typed with some jumps. */
function keystrokes(): readonly (readonly [number, number, string])[] {
  const path = process.env['BENCH_TRACE']
  if (path !== undefined) {
    const { txns } = JSON.parse(readFileSync(path, 'utf8')) as { txns: { patches: [number, number, string][] }[] }
    return txns.flatMap(({ patches }) => patches).slice(0, share(40_000))
  }
  const text = readFileSync('LICENSE', 'utf8').repeat(5)
  let at = 0
  return Array.from({ length: share(40_000) }, (_, i) => {
    if (i % 97 === 0) at = Math.floor(i / 2)
    return [at++, 0, text[i % text.length] ?? ' '] as const
  })
}

async function typing(contender: Contender): Promise<Figures> {
  const addressOf = await contender.openRoom()
  const beside = await contender.openRoom()
  const read = new Y.Doc()
  const writer = writing()
  const sender = await joinAs(addressOf(0))
  const provider = readerOf(addressOf(1), read)
  await settle(() => provider.synced, 30)
  const endBystander = await startBystander(beside(2), beside(3))
  const startedAt = performance.now()
  for (const [i, [at, gone, text]] of keystrokes().entries()) {
    sender.send(
      writer.change((doc) => {
        const target = doc.getText('t')
        const where = Math.min(at, target.length)
        doc.transact(() => {
          if (gone > 0) target.delete(where, Math.min(gone, target.length - where))
          if (text !== '') target.insert(where, text)
        })
      }),
    )
    if (i % 200 === 0) await wait(0)
  }
  const whole = writer.doc.getText('t').toString()
  await settle(() => read.getText('t').length === whole.length && read.getText('t').toString() === whole, 120)
  const seconds = (performance.now() - startedAt) / 1000
  const times = await endBystander()
  const differs = read.getText('t').toString() === whole ? 0 : 1
  provider.destroy()
  await leave([sender])
  const bystander = {
    'bystander p50 ms': quantile(times, 0.5),
    'bystander p99 ms': quantile(times, 0.99),
    'bystander max ms': Math.max(...times),
  }
  return { seconds, ...bystander, differs }
}

/** Somebody in another room, on another thread: what the writer costs this process must not count. Answers what they measured, and ends them. */
async function startBystander(near: Address, far: Address): Promise<() => Promise<number[]>> {
  const worker = new Worker(new URL('./room-bystander.ts', import.meta.url), { workerData: { near, far } })
  await once(worker, 'message')
  return async () => {
    worker.postMessage('enough')
    const [times] = (await once(worker, 'message')) as [number[]]
    return times
  }
}

function readerOf({ url, protocols }: { readonly url: string; readonly protocols: readonly string[] }, doc: Y.Doc): WebsocketProvider {
  const at = url.lastIndexOf('/')
  const options = { protocols: [...protocols], disableBc: true, WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket }
  return new WebsocketProvider(url.slice(0, at), url.slice(at + 1), doc, options)
}

/** One client stops reading while 200 MB go past it. */
async function slowReader(contender: Contender): Promise<Figures> {
  const addressOf = await contender.openRoom()
  const slow = await joinAs(addressOf(0))
  const senders = await Promise.all(Array.from({ length: 10 }, (_, i) => joinAs(addressOf(i + 1))))
  let heard = 0
  const reader = await joinAs(addressOf(11), (frame) => marksIn(frame, () => void heard++))
  const chunks = share(400)
  const writers = senders.map(() => writing())
  const publish = async (from: number, until: number) => {
    for (let n = from; n < until; n++) {
      const i = n % senders.length
      const update = writers[i]?.change((doc) => {
        const text = doc.getText(`t${i}`)
        doc.transact(() => {
          text.delete(0, text.length)
          text.insert(0, marked(n) + '.'.repeat(500_000))
        })
      })
      if (update) senders[i]?.send(update)
      await settle(() => heard > n, 10)
    }
  }
  // What publishing itself takes is taken before: only what piles up for the one who stopped is to be weighed.
  const warmUp = Math.ceil(chunks / 4)
  await publish(0, warmUp)
  const before = residentMb(contender.pid)
  slow.socket.pause()
  await publish(warmUp, warmUp + chunks)
  const grown = residentMb(contender.pid) - before
  await leave([slow, reader, ...senders])
  return { 'MB grown': grown, 'MB sent': chunks / 2, missing: warmUp + chunks - heard }
}

/** All sockets die at once and come back at once, to a document of 96 KB. */
async function storm(contender: Contender): Promise<Figures> {
  const addressOf = await contender.openRoom()
  const first = await joinAs(addressOf(0))
  first.send(writing().change((doc) => doc.getText('t').insert(0, '.'.repeat(96_000))))
  const many = share(500)
  await leave(await joinMany(addressOf, many))
  const startedAt = performance.now()
  const back = await Promise.all(Array.from({ length: many }, (_, i) => joinAs(addressOf(i))))
  const seconds = (performance.now() - startedAt) / 1000
  await leave([first, ...back])
  return { seconds, clients: back.length }
}

/** A session ends while its socket gets frames. */
async function revocation(contender: Contender): Promise<Figures> {
  const addressOf = await contender.openRoom()
  let lastAt = 0
  const hear = () => {
    lastAt = performance.now()
  }
  const [writer, reader] = [await joinAs(addressOf(0)), await joinAs(addressOf(1), hear)]
  const { change } = writing()
  let n = 0
  const talking = setInterval(() => writer.send(change((doc) => doc.getText('t').insert(0, marked(n++)))), 20)
  await wait(500)
  const askedAt = performance.now()
  await contender.revoke?.(1)
  await Promise.race([reader.closed, wait(10_000)])
  clearInterval(talking)
  await leave([writer, reader])
  return { 'seconds to the last frame': Math.max(0, lastAt - askedAt) / 1000 }
}

const ALL = ['parvis', 'party', 'y', 'hocuspocus', 'socketio'] as const
const YJS = ['parvis', 'party', 'y'] as const

const WORKLOADS: Readonly<Record<string, Workload>> = {
  'fan-out-400': {
    name: '100 clients, 10 of them send 400 messages a second',
    on: ALL,
    run: fanOut(400),
    bars: { 'p50 ms': 15, 'p99 ms': 60, 'µs a delivery': 10, missing: 0 },
  },
  'fan-out-100': { name: '100 clients, 100 messages a second', on: ALL, run: fanOut(100), bars: { 'p99 ms': 30, missing: 0 } },
  idle: {
    name: '60 unmodified idle y-websocket clients and 4 edits a second',
    on: YJS,
    run: idlePresence(60),
    bars: { 'edit p99 ms': 50, 'presence frames/s out': 15, 'in for 100 clients': 12, missing: 0 },
  },
  'idle-100': {
    name: '100 unmodified idle y-websocket clients and 4 edits a second',
    on: ['parvis'],
    run: idlePresence(100),
    bars: { 'in for 100 clients': 12, missing: 0 },
  },
  leaves: {
    name: '1,000 clients in one object and on leaves, 10 of them send 20 messages a second',
    on: ['parvis', 'leaves'],
    run: fanOut(20, 990),
    bars: { missing: 0 },
  },
  typing: {
    name: '40,000 keystrokes one by one, a bystander room beside',
    on: YJS,
    run: typing,
    bars: { seconds: 5, 'bystander p99 ms': 100, differs: 0 },
  },
  'slow-reader': { name: 'a reader that stops, 200 MB published', on: YJS, run: slowReader, bars: { 'MB grown': 8, missing: 0 } },
  storm: { name: '500 clients come back at once to 96 KB', on: YJS, run: storm, bars: { seconds: 5 } },
  kills: {
    name: 'twenty times killed while people write',
    on: ['parvis'],
    run: killings(share(20)),
    bars: { 'messages lost': 0, 'messages doubled': 0, 'changes lost': 0 },
  },
  revocation: { name: 'from a logout to the last frame', on: ['parvis'], run: revocation, bars: { 'seconds to the last frame': 2 } },
}

const rounded = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2))

function cellOf(figure: string, value: number, bar: number | undefined): string {
  return bar === undefined ? `${figure} ${rounded(value)}` : `${figure} ${rounded(value)} (${said(`≤ ${bar}`, value <= bar)})`
}

async function measure(workload: Workload, start: () => Promise<Contender>): Promise<{ readonly name: string; readonly figures: Figures }> {
  const contender = await start()
  try {
    const rounds: Figures[] = []
    for (let i = 0; i < ROUNDS; i++) rounds.push(await workload.run(contender))
    const names = Object.keys(rounds[0] ?? {})
    const middle = (name: string) => median(rounds.map((round) => round[name] ?? Number.NaN))
    return { name: contender.name, figures: Object.fromEntries(names.map((name) => [name, middle(name)])) }
  } finally {
    await contender.stop()
  }
}

/** Measures the workloads that are named, or all; each server runs alone, the middle of three rounds counts. */
export async function measureRooms(wanted: readonly string[]): Promise<void> {
  const names = wanted.length > 0 ? wanted : Object.keys(WORKLOADS)
  const unknown = names.filter((name) => !WORKLOADS[name])
  if (unknown.length > 0) throw new Error(`no such workload: ${unknown.join(', ')}; there are ${Object.keys(WORKLOADS).join(', ')}`)
  const starts = contenders()
  for (const name of names) {
    const workload = WORKLOADS[name] as Workload
    console.log(`\n**${name}**: ${workload.name}${SHARE === 1 ? '' : `, at ${SHARE} of the load`}\n`)
    for (const kind of workload.on) {
      const { name: server, figures } = await measure(workload, starts[kind])
      const cells = Object.entries(figures).map(([figure, value]) =>
        cellOf(figure, value, kind === 'parvis' ? workload.bars[figure] : undefined),
      )
      console.log(`| ${server} | ${cells.join(' | ')} |`)
    }
  }
}
