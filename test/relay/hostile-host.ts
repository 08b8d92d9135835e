import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import ssh2, { type Connection } from 'ssh2'
import { generateDemoHostKey } from '../../src/dev/demo-host.ts'

/** An SSH server that lets everybody in and answers a command by asking without end, or by a key exchange after the other. */
const [mode] = process.argv.slice(2)
const ASKED_AT_ONCE = 500

const partsOf = (client: Connection) => ({
  protocol: Reflect.get(client, '_protocol') as { ping(): void },
  socket: Reflect.get(client, '_sock') as Socket,
})

function ask(client: Connection): void {
  const { protocol, socket } = partsOf(client)
  for (let i = 0; i < ASKED_AT_ONCE && !socket.destroyed; i++) protocol.ping()
  if (socket.destroyed) return
  if (socket.writableNeedDrain) socket.once('drain', () => ask(client))
  else setImmediate(ask, client)
}

function exchangeKeys(client: Connection): void {
  if (!partsOf(client).socket.destroyed) client.rekey(() => setImmediate(exchangeKeys, client))
}

const hostKey = generateDemoHostKey()
const key = ssh2.utils.parseKey(hostKey)
if (key instanceof Error) throw key
const fingerprint = `SHA256:${createHash('sha256').update(key.getPublicSSH()).digest('base64').replace(/=+$/, '')}`
const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
  client.on('error', () => undefined)
  client.on('authentication', (attempt) => attempt.accept())
  client.on('session', (accept) =>
    accept().on('exec', (take) => {
      take()
      if (mode === 'rekey') exchangeKeys(client)
      else ask(client)
    }),
  )
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.stdout.write(`${JSON.stringify({ port, fingerprint })}\n`)
})
// Whoever started it is gone when its output is.
process.stdout.on('error', () => process.exit(0))
process.stdin.resume().on('end', () => process.exit(0))
