import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { freePort } from '../relay/sshd.ts'
import type { ShellStack, Terminal } from './shell-stack.ts'

const SIZE = { term: 'xterm-256color', cols: 80, rows: 24 }
const TRIES = 100

/** What one message of Socket.IO 4 over a WebSocket says: pings are answered, events told, bytes follow the event that announces them. */
function readEvent(text: string): { readonly name: string; readonly data: unknown; readonly isFollowed: boolean } | undefined {
  const [, kind = '', json = ''] = /^4(2|51-)(\[.*)$/s.exec(text) ?? []
  if (kind === '') return undefined
  const [name, data] = JSON.parse(json) as [string, unknown]
  return { name, data, isFollowed: kind !== '2' }
}

async function connected(url: string): Promise<WebSocket> {
  for (let tries = 1; ; tries++) {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    const isOpen = await new Promise<boolean>((resolve) => socket.once('open', () => resolve(true)).once('error', () => resolve(false)))
    if (isOpen) return socket
    if (tries === TRIES) throw new Error('WebSSH2 does not listen')
    await wait(100)
  }
}

/** WebSSH2 out of a built checkout, in front of the same sshd. */
export async function openWebssh2({ sshd }: ShellStack, home: string): Promise<Terminal> {
  const port = await freePort()
  const env = {
    ...process.env,
    NODE_ENV: 'production',
    WEBSSH2_LISTEN_IP: '127.0.0.1',
    WEBSSH2_LISTEN_PORT: String(port),
    WEBSSH2_HTTP_ORIGINS: '*:*',
  }
  const server = spawn(process.execPath, [join(home, 'dist/index.js')], { cwd: home, env, stdio: ['ignore', 'ignore', 'inherit'] })
  const socket = await connected(`ws://127.0.0.1:${port}/ssh/socket.io/?EIO=4&transport=websocket`)
  const emit = (name: string, data: unknown) => socket.send(`42${JSON.stringify([name, data])}`)
  const login = { username: sshd.user, host: sshd.host, port: sshd.port, privateKey: sshd.privateKey, ...SIZE }
  let listener: (bytes: Uint8Array) => void = () => undefined
  const take = (name: string, data: unknown): void => {
    if (name === 'authentication' && (data as { action?: string }).action === 'request_auth') emit('authenticate', login)
    else if (name === 'getTerminal') emit('terminal', SIZE)
    else if (name === 'data') listener(typeof data === 'string' ? Buffer.from(data) : new Uint8Array())
  }
  socket.on('message', (message: Buffer, isBinary) => {
    if (isBinary) return listener(message)
    const text = String(message)
    if (text === '2') return socket.send('3')
    if (text.startsWith('0')) return socket.send('40')
    const event = readEvent(text)
    if (event && !event.isFollowed) take(event.name, event.data)
  })
  return {
    type: (text) => emit('data', text),
    onOutput(given) {
      listener = given
    },
    close() {
      socket.close()
      server.kill()
    },
  }
}
