import { join } from 'node:path'
import { type Part, startPart } from './child.ts'
import type { Ports } from './ports.ts'
import { publicHalf, type Secrets } from './secrets.ts'
import type { Warden } from './warden.ts'

/** What the local relay is started with. */
export interface LocalRelayOptions {
  readonly root: string
  readonly logs: string
  readonly warden: Warden
  readonly ports: Ports
  readonly secrets: Secrets
  readonly vars: Readonly<Record<string, string>>
  readonly onError: (text: string) => void
}

/** The relay's whole environment: of this machine it may reach the demo host, and of the world what it always may. */
function environment({ ports, secrets, vars }: LocalRelayOptions): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    RELAY_ID: vars['RELAY_ID'],
    RELAY_HOST: '127.0.0.1',
    RELAY_PORT: String(ports.RELAY_PORT),
    RELAY_HEALTH_PORT: String(ports.RELAY_HEALTH_PORT),
    RELAY_SIGNING_KEY_FILE: secrets.relaySigning.path,
    RELAY_SEALING_KEY_FILE: secrets.relaySealing.path,
    RELAY_DIALER_KEYS: JSON.stringify([publicHalf(vars['RELAY_DIALER_KEY'] ?? '', 'RELAY_DIALER_KEY in .dev.vars')]),
    RELAY_ALLOW_TARGETS: `127.0.0.1:${ports.DEMO_HOST_PORT}`,
    // Nobody else's shells wait here, so a stop need not either.
    RELAY_DRAIN_SECONDS: '1',
  }
}

/** Starts the relay as its own program. `listening` resolves when it takes links. */
export function startLocalRelay(options: LocalRelayOptions): Part {
  const { root, logs, warden, onError } = options
  return startPart({
    name: 'The relay',
    failure: 'The relay does not start',
    cwd: root,
    args: ['src/relay/main.ts'],
    env: environment(options),
    logPath: join(logs, 'relay.log'),
    warden,
    reader:
      ({ ready }) =>
      (line) => {
        if (line.includes('"event":"relay-listening"')) ready()
        if (line.includes('"level":"error"')) onError(line)
      },
  })
}
