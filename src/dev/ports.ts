import { createServer } from 'node:net'
import { Complaint, codeOf } from './complaint.ts'
import { findListener } from './processes.ts'

interface PortUse {
  readonly standard: number
  readonly use: string
  readonly hosts: readonly string[]
}

const LOOPBACK = ['127.0.0.1']

/** Each port of the local stack by the variable that changes it. Browsers try `localhost` over IPv6 first. */
const PORTS = {
  PORT: { standard: 8787, use: 'the Worker', hosts: ['127.0.0.1', '::1'] },
  MAIL_CATCHER_PORT: { standard: 8025, use: 'the mail catcher', hosts: LOOPBACK },
  RELAY_PORT: { standard: 7022, use: 'the relay', hosts: LOOPBACK },
  RELAY_HEALTH_PORT: { standard: 7023, use: "the relay's health", hosts: LOOPBACK },
  DEMO_HOST_PORT: { standard: 2222, use: 'the demo SSH host', hosts: LOOPBACK },
} as const satisfies Record<string, PortUse>
type PortName = keyof typeof PORTS

/** The port of every part. */
export type Ports = Readonly<Record<PortName, number>>

const NAMES = Object.keys(PORTS) as PortName[]

/** The ports that the environment asks for. @throws Complaint */
export function readPorts(env: Readonly<Record<string, string | undefined>>): Ports {
  const ports = Object.fromEntries(NAMES.map((name) => [name, readPort(name, env[name])])) as Ports
  for (const [i, name] of NAMES.entries()) {
    const other = NAMES.slice(0, i).find((earlier) => ports[earlier] === ports[name])
    if (other) throw new Complaint(`${other} and ${name} are both ${ports[name]}: give each its own port.`)
  }
  return ports
}

function readPort(name: PortName, text: string | undefined): number {
  if (text === undefined || text === '') return PORTS[name].standard
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new Complaint(`${name} is not a port: set it to a number from 1 to 65535.`)
  return port
}

/** All ports are looked at before anything starts. @throws Complaint naming the first that is not free, and who holds it */
export async function mustBeFree(ports: Ports): Promise<void> {
  for (const name of NAMES) {
    for (const host of PORTS[name].hosts) await mustListen(name, { port: ports[name], host })
  }
}

async function mustListen(name: PortName, { port, host }: { readonly port: number; readonly host: string }): Promise<void> {
  const code = await tryPort(port, host)
  if (code === undefined || code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return
  if (code === 'EACCES') throw new Complaint(`Port ${port} for ${PORTS[name].use} needs more rights than you have: ${another(name)}.`)
  const holder = findListener(port)
  const who = holder ? `by ${holder.name}, process ${holder.pid}: end it, or` : 'by another program:'
  throw new Complaint(`Port ${port} for ${PORTS[name].use} is taken ${who} ${another(name)}.`)
}

const another = (name: PortName) => `choose another port with \`${name}=… npm start\``

function tryPort(port: number, host: string): Promise<string | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(codeOf(error) ?? 'unknown'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
