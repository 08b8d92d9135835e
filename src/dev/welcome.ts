import type { DemoHost } from './demo-host.ts'
import { DEMO_USER } from './demo-host.ts'
import type { Ports } from './ports.ts'

/** What the last lines of a start speak of. */
export interface WelcomeOptions {
  readonly ports: Ports
  readonly publicOrigin: string
  readonly demoHost: DemoHost
  readonly demoPassword: string
  readonly degraded: readonly string[]
  readonly seconds: number
}

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `  ${name.padEnd(width)}   ${text}`).join('\n')
}

/** Where everything is, and what to try first. */
export function welcome({ ports, publicOrigin, demoHost, demoPassword, degraded, seconds }: WelcomeOptions): string {
  const mail = `http://127.0.0.1:${ports.MAIL_CATCHER_PORT}`
  const rows = [
    ['Console and API', publicOrigin],
    ['API reference', `${publicOrigin}/docs`],
    ['OpenAPI', `${publicOrigin}/v1/openapi.json`],
    ['Mail', `${mail}   catches every mail, sends none`],
    ['Demo SSH host', `127.0.0.1   port ${demoHost.port}   user ${DEMO_USER}   password ${demoPassword}`],
    ['', `host key ${demoHost.hostKeyFingerprint}`],
    ['Relay', `127.0.0.1:${ports.RELAY_PORT}   health http://127.0.0.1:${ports.RELAY_HEALTH_PORT}/health/ready`],
    ['Logs', '.parvis/logs'],
  ] as const
  const state = degraded.length > 0 ? `runs, without ${degraded.join(' and ')}` : 'is ready'
  return `
Parvis ${state} after ${seconds.toFixed(1)} s.

${table(rows)}

Try first
  1. Create an account at ${publicOrigin}/register; the code for it is in ${mail}
  2. Make a room, open it in a second window, and see each type in the other.
  3. Make an organisation, add the demo SSH host above to it, compare the host key, and open a shell.
  4. Or from another program:
     curl ${publicOrigin}/v1/auth/register --json '{"email":"ada@example.org","password":"correct horse battery staple"}'

Ctrl-C stops everything; the data stays. Another port: ${Object.keys(ports).join(', ')}, as in PORT=9000 npm start.
`
}
