import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A mail as the server took it. */
export interface Delivery {
  readonly from: string
  readonly to: readonly string[]
  readonly raw: Buffer
  readonly secure: boolean
  readonly user: string | undefined
}

/** A server on loopback that knows when everybody has left. */
export interface Peer {
  readonly port: number
  /** Resolves once no connection is open any more. */
  deserted(): Promise<void>
  close(): Promise<void>
}

export const LOGIN = { username: 'postbox', password: 'correct-horse-battery' } as const

/** A real SMTP server that asks for the login above. */
export async function startSmtpServer(options: SMTPServerOptions): Promise<Peer & { readonly deliveries: Delivery[] }> {
  const deliveries: Delivery[] = []
  const server = new SMTPServer({
    logger: false,
    onAuth: ({ username, password }, _session, callback) =>
      username === LOGIN.username && password === LOGIN.password ? callback(null, { user: username }) : callback(new Error('bad login')),
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        const from = mailFrom === false ? '' : mailFrom.address
        const to = rcptTo.map(({ address }) => address)
        deliveries.push({ from, to, raw: Buffer.concat(chunks), secure: session.secure, user: session.user })
        callback()
      })
    },
    ...options,
  })
  // A client that gives up in the middle of a handshake is an error event here; the tests judge the client.
  server.on('error', () => undefined)
  const open = watchConnections(server.server)
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()))
  return { deliveries, port: (server.server.address() as AddressInfo).port, deserted: open.deserted, close }
}

/** A TCP server that says whatever `talk` says. */
export async function startTcpPeer(talk: (socket: Socket) => void): Promise<Peer> {
  const server = createServer((socket) => {
    // Without a reader Node never notices that the other side has left.
    socket.on('error', () => undefined).resume()
    talk(socket)
  })
  const open = watchConnections(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of open.sockets) socket.destroy()
    })
  return { port: (server.address() as AddressInfo).port, deserted: open.deserted, close }
}

/** A server that follows a script: each line it hears is answered by the first entry whose key begins it. */
export function startScriptedPeer(
  greeting: string,
  script: Readonly<Record<string, string | undefined>>,
  heard: string[] = [],
): Promise<Peer> {
  return startTcpPeer((socket) => {
    socket.write(greeting)
    socket.setEncoding('utf8')
    let rest = ''
    socket.on('data', (chunk: string) => {
      const lines = `${rest}${chunk}`.split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        heard.push(line)
        const answer = Object.entries(script).find(([start]) => line.startsWith(start))?.[1]
        if (answer !== undefined) socket.write(answer)
      }
    })
  })
}

function watchConnections(server: NodeJS.EventEmitter): { sockets: Set<Socket>; deserted: () => Promise<void> } {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const deserted = async () => {
    for (const socket of sockets) if (!socket.closed) await once(socket, 'close')
  }
  return { sockets, deserted }
}
