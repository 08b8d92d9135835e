import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { createDecoder, readVarUint } from 'lib0/decoding'
import { encode, writeVarUint } from 'lib0/encoding'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { joinAs } from './room-client.ts'
import { marked } from './room-marks.ts'
import type { Address, Contender } from './room-peers.ts'

/** y-sweet's echo: it comes back when all that came before it is on disk. */
const ECHO = 102
const TALKERS = 4
const WRITERS = 4

/** What the service said it has. */
interface Promised {
  readonly cids: Set<string>
  readonly marks: Set<number>
}

/** Says something whenever it may, and notes what is acknowledged. */
async function talk({ url, protocols }: Address, { cids }: Promised): Promise<() => void> {
  const socket = new WebSocket(url.replace(/\/y$/, '/live'), [...protocols], { perMessageDeflate: false })
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('open', resolve))
  socket.on('message', (data) => {
    const frame = JSON.parse(String(data)) as { readonly type: string; readonly cid?: string }
    if (frame.type === 'ack' && frame.cid !== undefined) cids.add(frame.cid)
  })
  const talking = setInterval(
    () => socket.send(JSON.stringify({ type: 'publish', cid: randomUUID(), action: { kind: 'post', text: 'ahoy' } })),
    200,
  )
  return () => {
    clearInterval(talking)
    socket.terminate()
  }
}

/** Writes into the document fifty times a second, each time with an echo. */
async function write(address: Address, from: number, { marks }: Promised): Promise<() => void> {
  const { send, socket } = await joinAs(address, (frame) => {
    const decoder = createDecoder(frame)
    if (readVarUint(decoder) === ECHO) marks.add(readVarUint(decoder))
  })
  const doc = new Y.Doc()
  doc.on('update', send)
  let n = from
  const writing = setInterval(() => {
    doc.getText('t').insert(0, marked(n))
    socket.send(
      encode((e) => {
        writeVarUint(e, ECHO)
        writeVarUint(e, n)
      }),
    )
    n++
  }, 20)
  return () => {
    clearInterval(writing)
    socket.terminate()
  }
}

/** Reads over the API, as who comes by this address. */
function reader({ url, protocols }: Address): <T>(path: string) => Promise<T> {
  const room = url.replace(/^ws/, 'http').replace(/\/y$/, '')
  const authorization = `Bearer ${protocols[1]?.replace('bearer.', '')}`
  return async <T>(path: string) => {
    const answer = await fetch(`${room}${path}`, { headers: { authorization } })
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}`)
    return (await answer.json()) as T
  }
}

/** Every message of a room, from its first. */
async function messagesOf(address: Address): Promise<readonly string[]> {
  const read = reader(address)
  const { epoch } = await read<{ readonly epoch: string }>('/messages?limit=1')
  const cids: string[] = []
  for (let cursor = `${epoch}.0`; ; ) {
    const page = await read<{ readonly items: readonly { readonly cid: string }[]; readonly nextCursor: string }>(
      `/messages?limit=100&cursor=${cursor}`,
    )
    if (page.items.length === 0) return cids
    cids.push(...page.items.map(({ cid }) => cid))
    cursor = page.nextCursor
  }
}

/** Kills the service again and again while people talk and write, and looks whether all that was acknowledged is there, once. */
export const killings = (times: number) => async (contender: Contender) => {
  const addressOf = await contender.openRoom()
  const promised: Promised = { cids: new Set(), marks: new Set() }
  for (let round = 0; round < times; round++) {
    const stops = await Promise.all([
      ...Array.from({ length: TALKERS }, (_, i) => talk(addressOf(i), promised)),
      ...Array.from({ length: WRITERS }, (_, i) => write(addressOf(i), (round * WRITERS + i) * 10_000, promised)),
    ])
    await wait(1_000 + Math.random() * 500)
    await contender.kill?.()
    for (const stop of stops) stop()
  }
  const cids = await messagesOf(addressOf(0))
  const { text } = await reader(addressOf(0))<{ readonly text: string }>('/document?format=text')
  const lost = [...promised.marks].filter((n) => !text.includes(marked(n).slice(0, 10)))
  return {
    'messages kept': promised.cids.size,
    'messages lost': [...promised.cids].filter((cid) => !cids.includes(cid)).length,
    'messages doubled': cids.length - new Set(cids).size,
    'changes kept': promised.marks.size,
    'changes lost': lost.length,
  }
}
