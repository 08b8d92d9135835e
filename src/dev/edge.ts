import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Part, type PartOptions, type Startup, startPart } from './child.ts'
import { Complaint } from './complaint.ts'
import type { Warden } from './warden.ts'
import { createErrorReader, type WorkerError } from './wrangler-log.ts'

const STATE = '.wrangler/state'

/** Where to work. */
export interface EdgeOptions {
  readonly root: string
  readonly logs: string
  readonly warden: Warden
}

/** How this start's Worker differs from what stands in files. */
export interface EdgeSettings {
  readonly port: number
  /** Values that go before those of .dev.vars; they are seen in the list of processes. */
  readonly addresses: Readonly<Record<string, string>>
  onError(error: WorkerError): void
}

/** No statistics, no news, no prompts, nothing of the person's own account: the local stack talks to this machine only. */
function quietEnv(folder: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(CLOUDFLARE|WRANGLER|CF|MINIFLARE)_/.test(name))
  return {
    ...Object.fromEntries(own),
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_WRITE_LOGS: 'false',
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: 'true',
    XDG_CONFIG_HOME: folder,
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    NO_COLOR: '1',
  }
}

/** The program behind `wrangler`, without the wrapper that only looks at Node's version. @throws Complaint */
function wranglerPath(): string {
  try {
    return fileURLToPath(import.meta.resolve('wrangler'))
  } catch {
    throw new Complaint('wrangler is not installed: run `npm ci`.')
  }
}

interface Wrangling extends Pick<PartOptions, 'name' | 'failure' | 'args' | 'onMessage'> {
  readonly log: string
  onError(error: WorkerError, startup: Startup): void
}

function startWrangler({ root, logs, warden }: EdgeOptions, { log, onError, ...own }: Wrangling): Part {
  return startPart({
    ...own,
    cwd: root,
    args: ['--no-warnings', wranglerPath(), ...own.args, '--persist-to', STATE],
    env: quietEnv(join(root, '.parvis/config')),
    logPath: join(logs, log),
    warden,
    reader: (startup) => createErrorReader((error) => onError(error, startup)),
  })
}

/** Brings the local database to the newest schema; nothing when it is there already. `ready` resolves when it is done. */
export function startMigration(options: EdgeOptions): Part | undefined {
  const { root } = options
  const stamp = join(root, STATE, 'migrations.sha256')
  const newest = hashOf(root, globSync('migrations/*.sql', { cwd: root }).sort())
  // The stamp lies next to the database, so that it goes when the database goes.
  if (existsSync(join(root, STATE, 'v3/d1')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === newest) return undefined
  const part = startWrangler(options, {
    log: 'migrations.log',
    name: 'The migration',
    failure: 'The local database cannot be migrated',
    args: ['d1', 'migrations', 'apply', 'DB', '--local'],
    onError: ({ text }, { fail }) => fail(text),
  })
  const ready = part.ended.then(async (how) => {
    if (how !== 0) return part.ready
    mkdirSync(join(root, STATE), { recursive: true })
    writeFileSync(stamp, newest)
  })
  return { ...part, ready }
}

function hashOf(root: string, paths: readonly string[]): string {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(`${path}\0`).update(readFileSync(join(root, path)))
  return hash.digest('hex')
}

/** Starts the Worker of wrangler.toml with everything local. */
export function startEdge(options: EdgeOptions, { port, addresses, onError }: EdgeSettings): Part {
  const vars = Object.entries(addresses).flatMap(([key, value]) => ['--var', `${key}:${value}`])
  const where = ['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0']
  return startWrangler(options, {
    log: 'worker.log',
    name: 'The Worker',
    failure: 'The Worker does not start',
    args: ['dev', '--local', '--show-interactive-dev-session=false', ...where, ...vars],
    onError,
    onMessage(message, { ready }) {
      if (String(message).includes('DEV_SERVER_READY')) ready()
    },
  })
}
