import { createDecipheriv, type ECDH, hkdfSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Opens a message as a browser does (RFC 8291 §3, RFC 8188 §2), with none of our code. */
export function openPush(sealed: Uint8Array, { device, auth }: { readonly device: ECDH; readonly auth: Uint8Array }): Buffer {
  const body = Buffer.from(sealed)
  const salt = body.subarray(0, 16)
  const keyEnd = 21 + body[20]!
  const peer = body.subarray(21, keyEnd)
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), device.getPublicKey(), peer])
  const secret = hkdfSync('sha256', device.computeSecret(peer), auth, info, 32)
  const derive = (label: string, length: number) => Buffer.from(hkdfSync('sha256', Buffer.from(secret), salt, Buffer.from(label), length))
  const cipher = createDecipheriv('aes-128-gcm', derive('Content-Encoding: aes128gcm\0', 16), derive('Content-Encoding: nonce\0', 12))
  cipher.setAuthTag(body.subarray(-16))
  const padded = Buffer.concat([cipher.update(body.subarray(keyEnd, -16)), cipher.final()])
  return padded.subarray(0, padded.lastIndexOf(2))
}

/** One push as the service got it. */
export interface Pushed {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** A push service on loopback that answers what it is told to, then 201. */
export async function startPushService() {
  const pushed: Pushed[] = []
  const answers: number[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    pushed.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts) })
    response.writeHead(answers.shift() ?? 201).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pushed,
    /** The next answers, in order. */
    answers,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
