import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export const IAC = 255
export const [DONT, DO, WONT, WILL, SB, SE] = [254, 253, 252, 251, 250, 240] as const
export const [ECHO, SGA, TTYPE, NAWS] = [1, 3, 24, 31] as const

/** A host on loopback that serves each connection as a test says. */
export async function startLineHost(serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/**
 * A host that speaks Telnet as real ones do: it asks for the terminal's type and size, echoes what is typed, and knows a few words. `said` is all
 * that the terminal's side sent.
 */
export async function startTelnetHost() {
  const said: number[] = []
  const host = await startLineHost((socket) => {
    socket.write(Uint8Array.of(IAC, WILL, ECHO, IAC, WILL, SGA, IAC, DO, TTYPE, IAC, DO, NAWS, IAC, DO, 39))
    socket.write('login: ')
    let line = ''
    let rest: number[] = []
    socket.on('data', (chunk: Buffer) => {
      said.push(...chunk)
      const { typed, left } = withoutCommands([...rest, ...chunk], (option, body) => {
        if (option === NAWS) socket.write(`[size ${body.join('.')}]`)
        if (option === TTYPE) socket.write(`[type ${Buffer.from(body.slice(1)).toString()}]`)
      })
      rest = left
      for (const byte of typed) {
        if (byte !== 13) {
          line += String.fromCharCode(byte)
          socket.write(byte === IAC ? Uint8Array.of(IAC, IAC) : Uint8Array.of(byte))
          continue
        }
        if (line === 'exit') socket.end('\r\nbye\r\n')
        else if (line === 'type') socket.write(Uint8Array.of(IAC, SB, TTYPE, 1, IAC, SE))
        else socket.write(`\r\nyou said ${line.length}\r\n$ `)
        line = ''
      }
    })
  })
  return { ...host, said }
}

/** What is typed, once commands are taken out; a carriage return is followed by NUL. */
function withoutCommands(bytes: readonly number[], sub: (option: number, body: number[]) => void) {
  const typed: number[] = []
  for (let at = 0; at < bytes.length; at += 1) {
    const [byte = 0, next, option = 0] = bytes.slice(at, at + 3)
    if (byte === 0) continue
    if (byte !== IAC) {
      typed.push(byte)
      continue
    }
    if (next === undefined) return { typed, left: bytes.slice(at) }
    if (next === IAC) typed.push(IAC)
    if (next === SB) {
      const end = bytes.findIndex((one, i) => i > at && one === IAC && bytes[i + 1] === SE && bytes[i - 1] !== IAC)
      if (end === -1) return { typed, left: bytes.slice(at) }
      sub(option, bytes.slice(at + 3, end))
      at = end + 1
    } else at += next === IAC ? 1 : 2
  }
  return { typed, left: [] }
}
