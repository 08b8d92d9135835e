import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { ConfigError, parseConfig } from '../edge/platform/config.ts'
import { generateSigningKey } from '../relay/keys.ts'
import { Complaint, codeOf } from './complaint.ts'
import type { Ports } from './ports.ts'
import { publicHalf, type RelayKey, type Secrets } from './secrets.ts'

const HEADER = `# What the Worker of this machine is configured with; wrangler reads it and git does not.
# Change what you like: a start adds what is missing and touches nothing else.
# The local database cannot be read without SECRET_KEYS: keep it, or delete .wrangler/state with it.
`

/** What a start knows and .dev.vars must agree with. */
export interface DevVarsOptions {
  readonly path: string
  readonly ports: Ports
  readonly secrets: Secrets
}

/** The whole of .dev.vars, and the addresses of this start where its ports are others. */
export interface DevVars {
  readonly vars: Readonly<Record<string, string>>
  readonly addresses: Readonly<Record<string, string>>
}

/** Writes .dev.vars on the first start, adds what an older one lacks, and checks it as the Worker will. @throws Complaint naming keys only */
export function prepareDevVars(options: DevVarsOptions): DevVars {
  const vars = complete(options)
  mustMatch('RELAY_VERIFY_KEY', vars, options.secrets.relaySigning)
  mustMatch('RELAY_SEAL_KEY', vars, options.secrets.relaySealing)
  const addresses = addressesOf(vars, options.ports)
  try {
    parseConfig({ ...vars, ...addresses })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const keys = error.message.split(': ').at(-1)
    throw new Complaint(`.dev.vars has values that cannot be used (${keys}): correct them, or remove their lines and start again.`)
  }
  return { vars, addresses }
}

/** What is written when it is missing. JSON stands in single quotes, which dotenv takes as they are. */
const draws = ({ ports, secrets }: DevVarsOptions): Readonly<Record<string, () => string>> => ({
  ENVIRONMENT: () => 'dev',
  PUBLIC_ORIGIN: () => `http://localhost:${ports.PORT}`,
  SECRET_KEYS: () => `1:${randomBytes(32).toString('base64url')}`,
  MAIL_FROM: () => 'hello@parvis.example',
  MAIL_TRANSPORT: () => 'catcher',
  MAIL_CATCHER_URL: () => `http://127.0.0.1:${ports.MAIL_CATCHER_PORT}`,
  RELAY_TRANSPORT: () => 'tcp',
  RELAY_ID: () => 'local',
  RELAY_HOST: () => '127.0.0.1',
  RELAY_PORT: () => String(ports.RELAY_PORT),
  RELAY_VERIFY_KEY: () => `'${JSON.stringify(secrets.relaySigning.publicJwk)}'`,
  RELAY_SEAL_KEY: () => `'${JSON.stringify(secrets.relaySealing.publicJwk)}'`,
  RELAY_DIALER_KEY: () => `'${JSON.stringify(generateSigningKey().privateJwk)}'`,
})

function complete(options: DevVarsOptions): Record<string, string> {
  const { path } = options
  try {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    const present = parseEnv(text)
    const missing = Object.entries(draws(options)).filter(([key]) => present[key] === undefined)
    const lines = missing.map(([key, draw]) => `${key}=${draw()}\n`).join('')
    const start = text === '' ? HEADER : text.endsWith('\n') ? '' : '\n'
    if (lines) appendFileSync(path, start + lines, { mode: 0o600 })
    return parseEnv(readFileSync(path, 'utf8')) as Record<string, string>
  } catch (error) {
    throw new Complaint(`.dev.vars cannot be read or written (${codeOf(error) ?? 'unknown'}).`)
  }
}

/** A relay that proves itself with another key than the Worker expects would look like an attack. */
function mustMatch(key: string, vars: Readonly<Record<string, string>>, { publicJwk }: RelayKey): void {
  const theirs = publicHalf(vars[key] ?? '', `${key} in .dev.vars`)
  if (theirs.x === publicJwk.x && theirs.kid === publicJwk.kid) return
  throw new Complaint(`${key} in .dev.vars is not the key of the local relay in .parvis: remove that line to have it written again.`)
}

/** Addresses of our own parts follow the ports of this start; any other address is somebody's choice and stays. */
function addressesOf(vars: Readonly<Record<string, string>>, ports: Ports): Record<string, string> {
  return {
    ...(/^http:\/\/localhost(:\d+)?$/.test(vars['PUBLIC_ORIGIN'] ?? '') && { PUBLIC_ORIGIN: `http://localhost:${ports.PORT}` }),
    ...(/^http:\/\/127\.0\.0\.1(:\d+)?$/.test(vars['MAIL_CATCHER_URL'] ?? '') && {
      MAIL_CATCHER_URL: `http://127.0.0.1:${ports.MAIL_CATCHER_PORT}`,
    }),
    ...(vars['RELAY_HOST'] === '127.0.0.1' && { RELAY_PORT: String(ports.RELAY_PORT) }),
  }
}
