import { parentPort, workerData } from 'node:worker_threads'
import * as Y from 'yjs'
import { joinAs } from './room-client.ts'
import { marked, marksIn } from './room-marks.ts'
import type { Address } from './room-peers.ts'

/** Sends and hears twenty changes a second in a room of its own, on a thread of its own, and tells how long each took when it is asked. */
const { near, far } = workerData as { readonly near: Address; readonly far: Address }
const EVERY_MS = 50

const sentAt: number[] = []
const times: number[] = []
let last = new Uint8Array()
const doc = new Y.Doc()
doc.on('update', (update: Uint8Array) => {
  last = new Uint8Array(update)
})
const [writer, reader] = [
  await joinAs(near),
  await joinAs(far, (frame) => marksIn(frame, (n) => sentAt[n] !== undefined && times.push(performance.now() - sentAt[n]))),
]
setInterval(() => {
  const n = sentAt.length
  doc.getText('t').insert(0, marked(n))
  sentAt.push(performance.now())
  writer.send(last)
  if (n % 20 === 0) reader.stir()
}, EVERY_MS)
parentPort?.on('message', () => {
  parentPort?.postMessage(times)
  process.exit(0)
})
parentPort?.postMessage('ready')
