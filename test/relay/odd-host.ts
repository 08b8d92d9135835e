import { createHash } from 'node:crypto'
import ssh2 from 'ssh2'
import { generateDemoHostKey } from '../../src/dev/demo-host.ts'
import type { Target } from './harness.ts'

/** A host that lets everybody in and has room for one command on each connection. */
export interface OddHost extends Target {
  /** What it was told to run, each behind the number of the connection. */
  readonly ran: readonly string[]
  readonly close: () => void
}

/** On a connection's second session it refuses the channel, or takes the command and drops the connection. */
export async function startOddHost(second: 'refuse' | 'drop'): Promise<OddHost> {
  const hostKey = generateDemoHostKey()
  const key = ssh2.utils.parseKey(hostKey)
  if (key instanceof Error) throw key
  const ran: string[] = []
  const clients = new Set<{ end(): unknown }>()
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    clients.add(client)
    const number = clients.size
    let sessions = 0
    client.on('error', () => undefined)
    client.on('authentication', (attempt) => attempt.accept())
    client.on('session', (accept, reject) => {
      const n = ++sessions
      if (n > 1 && second === 'refuse') return reject()
      accept().on('exec', (take, _refuse, { command }) => {
        ran.push(`${number} ${command}`)
        if (n > 1) return void client.end()
        const channel = take()
        channel.exit(0)
        channel.end()
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  const fingerprint = `SHA256:${createHash('sha256').update(key.getPublicSSH()).digest('base64').replace(/=+$/, '')}`
  return {
    host: '127.0.0.1',
    port: typeof address === 'object' && address !== null ? address.port : 0,
    user: 'anybody',
    privateKey: '',
    hostKeys: [{ type: 'ssh-ed25519', fingerprint }],
    ran,
    close() {
      for (const client of clients) client.end()
      server.close()
    },
  }
}
