import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import ssh2, { type AuthContext, type Connection, type ParsedKey, type ServerChannel, type Session } from 'ssh2'
import { createDemoShell, runDemoLine } from './demo-shell.ts'

/** The only user of a demo host. */
export const DEMO_USER = 'demo'

/** How a demo host starts. */
export interface DemoHostOptions {
  /** 0 takes a free one. It listens on loopback only. */
  readonly port: number
  readonly password: string
  /** A private key in OpenSSH or PEM form, as from `generateDemoHostKey`. */
  readonly hostKey: string
  /** Lines of `authorized_keys` that may log in too. */
  readonly authorizedKeys?: readonly string[]
}

/** A running demo host. */
export interface DemoHost {
  readonly port: number
  /** `SHA256:…`, as OpenSSH prints it. */
  readonly hostKeyFingerprint: string
  /** `ssh-ed25519 AAAA…`, as in `known_hosts` after the name. */
  readonly hostPublicKey: string
  close(): Promise<void>
}

const BANNER = 'This is a demo host inside Parvis. It is not a real machine, and nothing you do here has an effect.'
const CONNECTIONS_MAX = 100
const ATTEMPTS_MAX = 3
const LINES_CHARS_MAX = 65_536

/** A new private host key. The library now and then writes one that it cannot read itself; then another is drawn. */
export function generateDemoHostKey(): string {
  const key = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'parvis demo host' }).private
  return ssh2.utils.parseKey(key) instanceof Error ? generateDemoHostKey() : key
}

/** An SSH server with a pretended shell and nothing behind it: no files, no processes, no forwarding of this machine. */
export function startDemoHost(options: DemoHostOptions): Promise<DemoHost> {
  const hostKey = readKey(options.hostKey)
  const isWelcome = createDoor(options)
  const clients = new Set<Connection>()
  const server = new ssh2.Server({ hostKeys: [options.hostKey], banner: BANNER, ident: 'ParvisDemo' }, (client) => {
    clients.add(client)
    client.on('error', () => undefined)
    client.on('close', () => clients.delete(client))
    welcome(client, isWelcome)
  })
  server.maxConnections = CONNECTIONS_MAX
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', () => {
      const blob = hostKey.getPublicSSH()
      const address = server.address()
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : options.port,
        hostKeyFingerprint: `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`,
        hostPublicKey: `${hostKey.type} ${blob.toString('base64')}`,
        close() {
          for (const client of clients) client.end()
          return new Promise((closed) => void server.close(() => closed()))
        },
      })
    })
  })
}

type Door = (attempt: AuthContext) => boolean

function createDoor({ password, authorizedKeys = [] }: DemoHostOptions): Door {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const keys = authorizedKeys.map(readKey)
  return (attempt) => {
    if (attempt.username !== DEMO_USER) return false
    if (attempt.method === 'password') return timingSafeEqual(digest(attempt.password), digest(password))
    if (attempt.method !== 'publickey') return false
    const key = keys.find((known) => known.type === attempt.key.algo && known.getPublicSSH().equals(attempt.key.data))
    if (key === undefined) return false
    // Without a signature the client only asks whether the key would do.
    return (
      attempt.signature === undefined ||
      attempt.blob === undefined ||
      key.verify(attempt.blob, attempt.signature, attempt.hashAlgo) === true
    )
  }
}

function welcome(client: Connection, isWelcome: Door): void {
  let refusals = 0
  client.on('authentication', (attempt) => {
    if (isWelcome(attempt)) return attempt.accept()
    if (attempt.method !== 'none') refusals += 1
    attempt.reject(['password', 'publickey'])
    if (refusals >= ATTEMPTS_MAX) client.end()
  })
  client.on('ready', () => client.on('session', (accept) => serveSession(accept())))
}

function serveSession(session: Session): void {
  let hasTerminal = false
  const stop = new AbortController()
  session.on('pty', (accept) => {
    hasTerminal = true
    accept()
  })
  session.on('window-change', (accept) => accept?.())
  session.on('env', (accept) => accept?.())
  session.on('signal', (accept) => {
    accept?.()
    stop.abort()
  })
  session.on('close', () => stop.abort())
  session.on('exec', (accept, _reject, { command }) => void runOnce(accept(), command, stop.signal))
  session.on('shell', (accept) => {
    if (hasTerminal) serveTerminal(accept(), stop.signal)
    else serveLines(accept(), stop.signal)
  })
}

async function runOnce(channel: ServerChannel, command: string, signal: AbortSignal): Promise<void> {
  channel.on('error', () => undefined)
  const { code } = await runDemoLine(command, {
    out: (text) => void channel.write(text),
    err: (text) => void channel.stderr.write(text),
    signal,
  })
  leave(channel, signal.aborted ? undefined : code)
}

function serveTerminal(channel: ServerChannel, signal: AbortSignal): void {
  const shell = createDemoShell({ write: (text) => void channel.write(text), exit: (code) => leave(channel, code) })
  channel.on('error', () => undefined)
  channel.on('data', (bytes: Buffer) => shell.input(bytes))
  channel.on('end', () => leave(channel, 0))
  signal.addEventListener('abort', () => leave(channel, undefined))
}

/** Without a terminal there is no prompt and no echo: each line is a command. */
function serveLines(channel: ServerChannel, signal: AbortSignal): void {
  let rest = ''
  channel.on('error', () => undefined)
  channel.on('data', (bytes: Buffer) => {
    rest = (rest + bytes.toString('utf8')).slice(0, LINES_CHARS_MAX)
  })
  channel.on('end', () => void runOnce(channel, rest.replaceAll('\n', ';'), signal))
}

/** Ends the channel with an exit code, or as ended by a signal. */
function leave(channel: ServerChannel, code: number | undefined): void {
  if (channel.writableEnded) return
  if (code === undefined) channel.exit('TERM')
  else channel.exit(code)
  channel.end()
}

function readKey(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text)
  if (key instanceof Error) throw new Error('A key of the demo host cannot be read.')
  return key
}

if (import.meta.main) {
  const password = randomBytes(9).toString('base64url')
  const host = await startDemoHost({ port: Number(process.env['DEMO_HOST_PORT'] ?? 2222), password, hostKey: generateDemoHostKey() })
  process.once('SIGINT', () => void host.close().then(() => process.exit(0)))
  process.once('SIGTERM', () => void host.close().then(() => process.exit(0)))
  console.log(`Demo host: ssh -p ${host.port} ${DEMO_USER}@127.0.0.1   password: ${password}   key: ${host.hostKeyFingerprint}`)
}
