import { once } from 'node:events'
import WebSocket from 'ws'
import type { Client } from '../../src/client/client.ts'
import { decodeViewChunk, encodeViewChunk, ShellFrame, type ViewerFrame } from '../../src/contract/viewer.ts'

/** A viewer that says exactly what a test wants, and acknowledges nothing by itself. */
export async function openRawViewer(origin: string, shellId: string, protocols: readonly string[], headers: Record<string, string> = {}) {
  const url = `${origin.replace('http', 'ws')}/v1/shells/${shellId}/view`
  const socket = new WebSocket(url, [...protocols], { headers })
  const frames: ShellFrame[] = []
  const chunks: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  let refusedStatus: number | undefined
  let closed: { readonly code: number; readonly reason: string } | undefined
  const wakes = new Set<() => void>()
  const wake = () => {
    for (const one of wakes) one()
  }
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const buffer = new Uint8Array(data).buffer
    const chunk = isBinary ? decodeViewChunk(buffer) : undefined
    if (chunk) chunks.push(chunk)
    else if (data.toString() !== 'pong') frames.push(ShellFrame.parse(JSON.parse(data.toString())))
    wake()
  })
  socket.on('close', (code, reason) => {
    closed = { code, reason: reason.toString() }
    wake()
  })
  socket.on('error', () => undefined)
  socket.on('unexpected-response', (_request, response) => {
    refusedStatus = response.statusCode
    response.resume()
    wake()
  })
  const until = async <T>(look: () => T | undefined | false, ms = 15_000): Promise<T> => {
    const deadline = AbortSignal.timeout(ms)
    for (;;) {
      const found = look()
      if (found !== undefined && found !== false) return found
      await new Promise<void>((resolve, reject) => {
        const one = () => {
          wakes.delete(one)
          resolve()
        }
        wakes.add(one)
        deadline.addEventListener('abort', () => reject(new Error(`nothing; saw ${JSON.stringify(frames.slice(-6))}`)), { once: true })
      })
    }
  }
  const frame = <T extends ShellFrame['type']>(type: T, nth = 1): Promise<Extract<ShellFrame, { type: T }>> =>
    until(() => frames.filter((f): f is Extract<ShellFrame, { type: T }> => f.type === type)[nth - 1])
  await Promise.race([once(socket, 'open').catch(() => undefined), until(() => refusedStatus !== undefined).catch(() => undefined)])
  return {
    socket,
    frames,
    chunks,
    frame,
    until,
    status: () => refusedStatus,
    tell: (f: ViewerFrame) => socket.send(JSON.stringify(f)),
    say: (text: string) => socket.send(text),
    type: (offset: number, text: string) => socket.send(encodeViewChunk({ offset, bytes: new TextEncoder().encode(text) })),
    bytes: (data: Uint8Array) => socket.send(data),
    text: (): string => Buffer.concat(chunks.map((c) => c.bytes)).toString('utf8'),
    /** The last output, without joining all of it. */
    tail: (): string => Buffer.concat(chunks.slice(-3).map((c) => c.bytes)).toString('utf8'),
    receivedTo: () => {
      const last = chunks.at(-1)
      return last ? last.offset + last.bytes.length : 0
    },
    closed: () => until(() => closed),
    isClosed: () => closed !== undefined,
    close: () => socket.close(),
  }
}
export type RawViewer = Awaited<ReturnType<typeof openRawViewer>>

/** The subprotocols of a signed-in client. */
export const bearer = async (client: Client): Promise<string[]> => ['parvis', `bearer.${await client.accessToken()}`]
