import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { generateDemoHostKey, startDemoHost } from '../../src/dev/demo-host.ts'
import { shellRequest, type Target } from '../relay/harness.ts'
import { openLink } from '../relay/krp-client.ts'
import { bearer, openRawViewer } from '../shell/raw-viewer.ts'
import { hostBody, makeKeys, startRig } from '../shell/rig.ts'
import { killRuntime } from '../workerd.ts'
import { median } from './load.ts'
import {
  connectPlain,
  execPlain,
  openOurs,
  openPlain,
  plainSftp,
  residentMb,
  type ShellStack,
  startBenchRelay,
  startShellStack,
  type Terminal,
} from './shell-stack.ts'
import { said } from './table.ts'
import { openWebssh2 } from './webssh2.ts'

/** Of what is sent and of how often: a tenth shows that a row runs to its end. */
const SHARE = Number(process.env['BENCH_SHARE'] ?? 1)
const share = (of: number): number => Math.max(2, Math.round(of * SHARE))
/** A built checkout of WebSSH2, which is in no registry. */
const WEBSSH2 = process.env['BENCH_WEBSSH2']

type Figures = Readonly<Record<string, number>>
type Bars = Readonly<Record<string, { readonly max?: number; readonly min?: number }>>

/** One thing that is measured: on a stack of its own, or on the shared one. */
interface Part {
  readonly name: string
  readonly run: (stack: () => Promise<ShellStack>) => Promise<Figures>
  readonly bars: Bars
}

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN

/** Resolves when the terminal has shown this. */
function shown(terminal: Terminal, text: string): Promise<void> {
  let seen = ''
  return new Promise((resolve) =>
    terminal.onOutput((bytes) => {
      seen = (seen + Buffer.from(bytes).toString('latin1')).slice(-4_096)
      if (seen.includes(text)) resolve()
    }),
  )
}

/** Keys one by one, each answered by the terminal's own echo before the next. */
async function keystrokes(terminal: Terminal): Promise<number[]> {
  await shown(terminal, '$ ')
  const isReady = shown(terminal, 'ready')
  terminal.type("printf re''ady; cat >/dev/null\n")
  await isReady
  await wait(300)
  const times: number[] = []
  for (let i = 0; i < share(300) + 20; i++) {
    const echoed = new Promise<void>((resolve) => terminal.onOutput(() => resolve()))
    const startedAt = performance.now()
    terminal.type('x')
    await echoed
    // The first few find nothing warm.
    if (i >= 20) times.push(performance.now() - startedAt)
    await wait(8)
  }
  terminal.close()
  return times
}

async function echo(start: () => Promise<ShellStack>): Promise<Figures> {
  const stack = await start()
  const ours = await keystrokes(await openOurs(stack))
  const plain = await keystrokes(openPlain(stack))
  const theirs = WEBSSH2 === undefined ? [] : await keystrokes(await openWebssh2(stack, WEBSSH2))
  const figures = {
    'p50 ms': quantile(ours, 0.5),
    'p95 ms': quantile(ours, 0.95),
    'ssh p50 ms': quantile(plain, 0.5),
    'ssh p95 ms': quantile(plain, 0.95),
  }
  if (theirs.length === 0) return figures
  const ratio = quantile(theirs, 0.5) / quantile(ours, 0.5)
  return {
    ...figures,
    'webssh2 p50 ms': quantile(theirs, 0.5),
    'webssh2 p95 ms': quantile(theirs, 0.95),
    'times faster than webssh2': ratio,
  }
}

/** What follows an answer, as a recording that is brought home, is over by then, and not in the time of whoever comes next. */
const SETTLE_MS = 100

/** Medians of several works that take turns, so that whatever else the machine does meets them alike. */
async function inTurns<N extends string>(works: Readonly<Record<N, (turn: number) => Promise<unknown>>>, times: number) {
  const names = Object.keys(works) as N[]
  const taken = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<N, number[]>
  for (let turn = 0; turn < times + 3; turn++)
    for (const name of names) {
      await wait(SETTLE_MS)
      const startedAt = performance.now()
      await works[name](turn)
      if (turn >= 3) taken[name].push(performance.now() - startedAt)
    }
  return Object.fromEntries(names.map((name) => [name, median(taken[name])])) as Record<N, number>
}

/** One command after another, on a connection that waited and on one that is made for it; and by the plain library in both ways. */
async function exec(start: () => Promise<ShellStack>): Promise<Figures> {
  const stack = await start()
  const { client, sshd } = stack
  const params = { orgId: stack.orgId as never }
  const times = share(40)
  const strangers: string[] = []
  for (let n = 0; n < times + 3; n++)
    strangers.push((await client.createHost({ params, body: { ...hostBody(sshd), name: `new-${n}` } })).id)
  const ours = (hostId: string) => client.execCommand({ params: { hostId: hostId as never }, body: { command: 'true' } })
  const connected = await connectPlain(stack)
  const { warm, cold, connecting, kept } = await inTurns(
    {
      warm: () => ours(stack.hostId),
      // The first command on a host finds no connection.
      cold: (turn) => ours(strangers[turn] ?? stack.hostId),
      connecting: async () => {
        const own = await connectPlain(stack)
        await execPlain(own, 'true')
        own.end()
      },
      kept: () => execPlain(connected, 'true'),
    },
    times,
  )
  connected.end()
  return {
    'warm p50 ms': warm,
    'cold p50 ms': cold,
    'ssh2 connecting p50 ms': connecting,
    'ssh2 connected p50 ms': kept,
    'warm above ssh2 connecting': warm - connecting,
    'warm above ssh2 connected': warm - kept,
    'cold above ssh2 connecting': cold - connecting,
  }
}

/** Megabytes of zeros, as text. */
const flood = (megabytes: number): string => `head -c ${megabytes}M /dev/zero | tr '\\0' a`

/** Until the mark behind so many megabytes. */
async function megabytesPerSecond(terminal: Terminal, megabytes: number): Promise<number> {
  await shown(terminal, '$ ')
  const isOver = shown(terminal, 'THE-END')
  const startedAt = performance.now()
  terminal.type(`${flood(megabytes)}; echo THE-''END\n`)
  await isOver
  const perSecond = megabytes / ((performance.now() - startedAt) / 1000)
  terminal.close()
  return perSecond
}

async function stream(start: () => Promise<ShellStack>): Promise<Figures> {
  const stack = await start()
  const megabytes = share(200)
  const ours = await megabytesPerSecond(await openOurs(stack), megabytes)
  const plain = await megabytesPerSecond(openPlain(stack), megabytes)
  const startedAt = performance.now()
  const body = { command: flood(megabytes) }
  let bytes = 0
  for await (const part of await stack.client.streamCommand({ params: { hostId: stack.hostId as never }, body }))
    if (part.type === 'stdout') bytes += part.text.length
  const streamed = bytes / 1024 / 1024 / ((performance.now() - startedAt) / 1000)
  return { 'MB/s to one viewer': ours, 'MB/s by ssh': plain, 'MB/s streamed command': streamed }
}

/** So many megabytes through a shell of its own, for a recording ends at a gigabyte; answers what the runtime has grown by when all is there. */
async function grownBy({ client, hostId, origin, pid }: ShellStack, megabytes: number, hasDeadViewer: boolean): Promise<number> {
  const before = residentMb(pid)
  let seen = ''
  const { promise: isOver, resolve } = Promise.withResolvers<void>()
  const output = (bytes: Uint8Array) => {
    seen = (seen + Buffer.from(bytes.subarray(-64)).toString('latin1')).slice(-256)
    if (seen.includes('THE-END')) resolve()
  }
  const view = await client.shells.open({ body: { hostId: hostId as never } }, { output })
  const dead = hasDeadViewer ? await openRawViewer(origin, view.id, await bearer(client)) : undefined
  dead?.tell({ type: 'attach' })
  await dead?.frame('hello')
  view.write(`${flood(megabytes)}; echo THE-''END\n`)
  await isOver
  const grown = residentMb(pid) - before
  dead?.socket.terminate()
  await view.end()
  return grown
}

/** A gigabyte past a viewer that never acknowledges, while its opener reads. */
async function deadViewer(start: () => Promise<ShellStack>): Promise<Figures> {
  const stack = await start()
  const megabytes = share(1000)
  // What streaming and recording take by themselves is weighed first: what piles up for the one who takes nothing is the rest.
  await grownBy(stack, share(200), false)
  const alone = await grownBy(stack, megabytes, false)
  const beside = await grownBy(stack, megabytes, true)
  return { 'MB sent': megabytes, 'MB grown without it': alone, 'MB grown with it': beside, 'MB for it': beside - alone }
}

/** Shells in which nobody does anything, in a relay of their own. */
async function idle(): Promise<Figures> {
  const keys = makeKeys()
  const hosts = await Promise.all(
    Array.from({ length: 10 }, () => startDemoHost({ port: 0, password: 'demo', hostKey: generateDemoHostKey() })),
  )
  const ports = hosts.map(({ port }) => port)
  const relay = await startBenchRelay(keys, ports)
  const dialer = { privateJwk: JSON.parse(keys.edge.RELAY_DIALER_KEY), publicJwk: JSON.parse(keys.relay.RELAY_DIALER_KEYS)[0] }
  const relayX = (JSON.parse(keys.edge.RELAY_VERIFY_KEY) as { x: string }).x
  const links: Awaited<ReturnType<typeof openLink>>[] = []
  const open = async (many: number, name: string) => {
    const caps = { ports, streamsMax: 256 }
    const link = await openLink({ port: relay.port, relayId: 'relay-test', relayX, dialer, sub: name, tenant: name, epoch: 1, caps })
    links.push(link)
    await Promise.all(
      Array.from({ length: many }, async (_, i) => {
        const host = hosts[i % hosts.length] as (typeof hosts)[number]
        const pins = [{ type: 'ssh-ed25519' as const, fingerprint: host.hostKeyFingerprint }]
        const target: Target = { host: '127.0.0.1', port: host.port, user: 'demo', privateKey: '', hostKeys: pins }
        await (await link.open(shellRequest(target), { kind: 'password', password: 'demo' })).opened()
      }),
    )
  }
  try {
    await open(share(50), 'org_warm')
    await wait(2_000)
    const before = residentMb(relay.pid ?? 0)
    const many = share(500)
    for (let left = many, n = 0; left > 0; left -= 50, n++) await open(Math.min(50, left), `org_${n}`)
    await wait(2_000)
    return { shells: many, 'kB each': ((residentMb(relay.pid ?? 0) - before) * 1024) / many }
  } finally {
    for (const { wire } of links) wire.cut()
    await relay.kill()
    for (const host of hosts) await host.close()
  }
}

/** One command on a hundred hosts, each at one of several doors. */
async function bulk(start: () => Promise<ShellStack>): Promise<Figures> {
  const { client, orgId, sshd, ports } = await start()
  const params = { orgId: orgId as never }
  const many = share(100)
  for (let n = 0; n < many; n++) {
    const port = ports[n % ports.length] ?? sshd.port
    await client.createHost({ params, body: { ...hostBody({ ...sshd, port }), name: `bulk-${n}`, tags: ['bulk'] } })
  }
  const startedAt = performance.now()
  const run = await client.startRun({ params, body: { on: { tag: 'bulk' }, command: 'hostname', parallel: 16 } })
  let succeeded = 0
  for await (const { event, data } of await client.followRun({ params: { runId: run.id } })) if (event === 'run') succeeded = data.succeeded
  return { 'hosts/s': many / ((performance.now() - startedAt) / 1000), failed: many - succeeded }
}

async function sftp(start: () => Promise<ShellStack>): Promise<Figures> {
  const stack = await start()
  const { client, hostId, sshd } = stack
  const megabytes = Math.min(90, share(90))
  const bytes = randomBytes(megabytes * 1024 * 1024)
  const at = { params: { hostId: hostId as never }, query: { path: '/tmp/parvis-bench.bin', overwrite: true } }
  const local = join(sshd.directory, 'bench.bin')
  writeFileSync(local, bytes)
  const seconds = async (work: () => Promise<unknown>) => {
    const startedAt = performance.now()
    await work()
    return (performance.now() - startedAt) / 1000
  }
  const up = await seconds(() => client.writeFile({ ...at, bytes }))
  const sum = createHash('sha256')
  const down = await seconds(async () => {
    const { body } = await client.readFile({ ...at, query: { path: at.query.path } })
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) sum.update(chunk)
  })
  const differs = sum.digest('hex') === createHash('sha256').update(bytes).digest('hex') ? 0 : 1
  const plainUp = plainSftp(stack, `put ${local} /tmp/parvis-bench-plain.bin\n`)
  const plainDown = plainSftp(stack, `get /tmp/parvis-bench.bin ${local}\nrm /tmp/parvis-bench.bin\nrm /tmp/parvis-bench-plain.bin\n`)
  return {
    'MB/s up': megabytes / up,
    'MB/s down': megabytes / down,
    'sftp MB/s up': megabytes / plainUp,
    'sftp MB/s down': megabytes / plainDown,
    differs,
  }
}

/** Numbered lines while the object's runtime is killed, or the network cut, again and again. */
async function resume(): Promise<Figures> {
  const rig = await startRig({ relayEnv: { RELAY_HEARTBEAT_SECONDS: '1' } })
  try {
    const chunks: Buffer[] = []
    let bytes = 0
    const output = (chunk: Uint8Array) => {
      chunks.push(Buffer.from(chunk))
      bytes += chunk.length
    }
    const view = await rig.owner.client.shells.open({ body: { hostId: rig.host.id } }, { output })
    const [kills, cuts] = [share(100), share(20)]
    const wanted = kills + cuts
    const lines = 50_000 * wanted
    while (!Buffer.concat(chunks).includes('$ ')) await wait(20)
    view.write(`stty -echo; printf 'BE''GIN\\n'; seq 1 ${lines}; printf 'E''ND\\n'\n`)
    for (let n = 0; n < wanted; n++) {
      const mark = bytes + 100_000
      while (bytes < mark) await wait(10)
      if (n % 6 === 5 && n < cuts * 6) rig.network.cut()
      else await killRuntime(rig.edge)
    }
    let tail = ''
    while (!tail.includes('END\r\n')) {
      await wait(100)
      tail = Buffer.concat(chunks.slice(-4)).toString('latin1').slice(-64)
    }
    const all = Buffer.concat(chunks).toString('latin1')
    const numbers = all.slice(all.indexOf('BEGIN\r\n') + 7, all.indexOf('END\r\n')).split('\r\n')
    const wrong =
      numbers.slice(0, -1).filter((number: string, i: number) => number !== String(i + 1)).length + Math.abs(numbers.length - 1 - lines)
    await view.end()
    return { kills, cuts, 'lines lost or doubled': wrong }
  } finally {
    await rig.stop()
  }
}

const PARTS: Readonly<Record<string, Part>> = {
  echo: {
    name: 'from a key to its echo',
    run: echo,
    bars: { 'p50 ms': { max: 5 }, 'p95 ms': { max: 20 }, 'times faster than webssh2': { min: 5 } },
  },
  exec: { name: 'a command that does nothing', run: exec, bars: { 'warm above ssh2 connecting': { max: 10 } } },
  stream: { name: '200 MB to one viewer', run: stream, bars: { 'MB/s to one viewer': { min: 10 } } },
  dead: { name: '1 GB past a viewer that takes nothing', run: deadViewer, bars: { 'MB for it': { max: 10 } } },
  idle: { name: '500 idle shells in one relay', run: idle, bars: { 'kB each': { max: 150 } } },
  bulk: { name: 'one command on 100 hosts', run: bulk, bars: { 'hosts/s': { min: 20 }, failed: { max: 0 } } },
  sftp: { name: 'a file of 90 MB there and back', run: sftp, bars: { differs: { max: 0 } } },
  resume: {
    name: 'the runtime killed 100 times and the network cut 20 times in mid-stream',
    run: resume,
    bars: { 'lines lost or doubled': { max: 0 } },
  },
}

const rounded = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2))

function cellOf(figure: string, value: number, bar: Bars[string] | undefined): string {
  const { max, min } = bar ?? {}
  const checks = [
    ...(max === undefined ? [] : [said(`≤ ${max}`, value <= max)]),
    ...(min === undefined ? [] : [said(`≥ ${min}`, value >= min)]),
  ]
  return checks.length === 0 ? `${figure} ${rounded(value)}` : `${figure} ${rounded(value)} (${checks.join(', ')})`
}

/** Measures the parts that are named, or all. */
export async function measureShells(wanted: readonly string[]): Promise<void> {
  const names = wanted.length > 0 ? wanted : Object.keys(PARTS)
  const unknown = names.filter((name) => !PARTS[name])
  if (unknown.length > 0) throw new Error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`)
  let shared: Promise<ShellStack> | undefined
  const start = () => (shared ??= startShellStack())
  try {
    for (const name of names) {
      const part = PARTS[name] as Part
      console.log(`\n**${name}**: ${part.name}${SHARE === 1 ? '' : `, at ${SHARE} of the load`}\n`)
      const figures = await part.run(start)
      const cells = Object.entries(figures).map(([figure, value]) => cellOf(figure, value, part.bars[figure]))
      console.log(`| ${cells.join(' | ')} |`)
    }
    if (WEBSSH2 === undefined) console.log('\nWebSSH2 was not measured: BENCH_WEBSSH2 names no built checkout of it.')
  } finally {
    await (await shared)?.stop()
  }
}
