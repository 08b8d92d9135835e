import type { GrantRequest, HostKeyPin } from '../../src/contract/krp.ts'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { parseConfig } from '../../src/relay/config.ts'
import { generateSealingKey, generateSigningKey } from '../../src/relay/keys.ts'
import { createLog } from '../../src/relay/log.ts'
import { type Relay, startRelay } from '../../src/relay/server.ts'
import { type LinkOptions, openLink, type TestLink } from './krp-client.ts'

export const RELAY_ID = 'relay-test'

/** A relay in this process, its keys, and every line it logged. */
export interface TestRelay {
  readonly relay: Relay
  readonly lines: string[]
  readonly env: Record<string, string>
  readonly dialer: ReturnType<typeof generateSigningKey>
  /** What `openLink` needs. */
  options(more?: Partial<LinkOptions>): LinkOptions
  link(more?: Partial<LinkOptions>): Promise<TestLink>
  events(name: string): Record<string, unknown>[]
}

/** Environment of a relay that may dial loopback on these ports. */
export function relayEnv(targetPorts: readonly number[]): {
  env: Record<string, string>
  dialer: ReturnType<typeof generateSigningKey>
  relayX: string
} {
  const dialer = generateSigningKey()
  const signing = generateSigningKey()
  const env = {
    RELAY_ID,
    RELAY_PORT: '0',
    RELAY_HEALTH_PORT: '0',
    RELAY_SIGNING_KEY: JSON.stringify(signing.privateJwk),
    RELAY_SEALING_KEY: JSON.stringify(generateSealingKey().privateJwk),
    RELAY_DIALER_KEYS: JSON.stringify([dialer.publicJwk]),
    RELAY_ALLOW_CIDRS: '127.0.0.1/32',
    RELAY_ALLOW_PORTS: targetPorts.join(','),
  }
  return { env, dialer, relayX: signing.publicJwk.x }
}

let epoch = 0

export async function startTestRelay(targetPorts: readonly number[], overrides: Record<string, string> = {}): Promise<TestRelay> {
  const { env, dialer, relayX } = relayEnv(targetPorts)
  const lines: string[] = []
  const relay = await startRelay(
    parseConfig({ ...env, ...overrides }),
    createLog({}, (line) => lines.push(line)),
  )
  const options = (more: Partial<LinkOptions> = {}): LinkOptions => {
    epoch += 1
    return {
      port: relay.port,
      relayId: RELAY_ID,
      relayX,
      dialer,
      epoch,
      ...more,
      caps: { ports: [...targetPorts].slice(0, 16), ...more.caps },
    }
  }
  return {
    relay,
    lines,
    env,
    dialer,
    options,
    link: (more) => openLink(options(more)),
    events: (name) => lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['event'] === name),
  }
}

/** A target of tests. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly privateKey: string
  readonly hostKeys: readonly HostKeyPin[]
}

const pinsOf = (target: Target): HostKeyPin[] => target.hostKeys.map(({ type, fingerprint }) => ({ type, fingerprint }))

export const keyOf = (target: Target): RelayCredential => ({ kind: 'private-key', privateKey: target.privateKey })

export const execRequest = (target: Target, command: string, more: Partial<GrantRequest & { kind: 'exec' }> = {}): GrantRequest => ({
  kind: 'exec',
  host: target.host,
  port: target.port,
  username: target.user,
  pins: pinsOf(target),
  env: {},
  command,
  timeoutSeconds: 60,
  detachSeconds: 60,
  ...more,
})

export const shellRequest = (target: Target, more: Partial<GrantRequest & { kind: 'shell' }> = {}): GrantRequest => ({
  kind: 'shell',
  host: target.host,
  port: target.port,
  username: target.user,
  pins: pinsOf(target),
  env: {},
  pty: { term: 'xterm-256color', cols: 80, rows: 24 },
  detachSeconds: 60,
  ...more,
})
