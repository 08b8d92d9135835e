import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import ssh2, { type Connection, type ServerConfig } from 'ssh2'
import { onTestFinished } from 'vitest'
import { generateDemoHostKey } from '../../src/dev/demo-host.ts'
import type { Target } from './harness.ts'
import type { SshdHostKey } from './sshd.ts'

/** What of its own SSH library a host of tests bends. */
export interface Bendable {
  _offer: { readonly constructor: new (lists: object) => Bendable['_offer']; readonly lists: Record<string, unknown> }
  rekey(): void
  channelData(channel: number, data: Buffer): void
  channelOpenConfirm(remote: number, local: number, window: number, packetBytes: number): void
  serviceAccept(name: string): void
  authSuccess(): void
}

export const protocolOf = (client: Connection): Bendable => Reflect.get(client, '_protocol') as Bendable
export const socketOf = (client: Connection): Socket => Reflect.get(client, '_sock') as Socket

/** An SSH server that lets everybody in, and does to its peers what the test wants; it ends with the test. */
export async function startFakeHost(
  serve: (client: Connection) => void,
  { at = 0, ...config }: Partial<ServerConfig> & { readonly at?: number } = {},
): Promise<Omit<Target, 'hostKeys'> & { readonly hostKeys: readonly SshdHostKey[] }> {
  const hostKey = generateDemoHostKey()
  const clients = new Set<Connection>()
  const server = new ssh2.Server({ hostKeys: [hostKey], ...config }, (client) => {
    clients.add(client)
    client.on('error', () => undefined)
    serve(client)
    if (client.listenerCount('authentication') === 0) client.on('authentication', (attempt) => attempt.accept())
  })
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', () => resolve()))
  onTestFinished(() => {
    for (const client of clients) socketOf(client).destroy()
    server.close()
  })
  const key = ssh2.utils.parseKey(hostKey)
  if (key instanceof Error) throw key
  const blob = key.getPublicSSH()
  const fingerprint = `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
  const { port } = server.address() as { port: number }
  const hostKeys = [{ type: 'ssh-ed25519' as const, fingerprint, key: blob.toString('base64') }]
  return { host: '127.0.0.1', port, user: 'u', privateKey: '', hostKeys }
}
