import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startMailbox } from '../mailbox.ts'
import { type BareRuntime, startBare } from './runtime.ts'

/** The passphrase of everybody who signs in here. */
export const PASSWORD = 'correct horse battery staple'
/** Whose session is used throughout. */
const EMAIL = 'bench@example.org'
/** Who signs in over and over. */
export const GUEST = 'guest@example.org'
/** Others like the guest, who sign in one after the other as people do: nobody has more sessions than they may. */
const NEIGHBOURS = 60
export const neighbour = (n: number): string => `neighbour-${n % NEIGHBOURS}@example.org`
/** The edge says where a call comes from; people mostly sign in from where they did before. */
export const HOME = { 'cf-connecting-ip': '203.0.113.7' }

/** Statements end at a semicolon, but for trigger bodies that hold some: those end with `END;`. */
const STATEMENT = /\s*(?:CREATE TRIGGER[\s\S]*?\bEND;|[^;]+;)/g
const PEERS = 'test/bench/peers'

/** Makes the schema. */
export async function migrate(runtime: BareRuntime): Promise<void> {
  const db = await runtime.getD1Database('DB', 'parvis')
  for (const file of readdirSync('migrations').sort()) {
    const sql = readFileSync(join('migrations', file), 'utf8').replace(/--.*$/gm, '').trim()
    for (const [statement] of sql.matchAll(STATEMENT)) await db.prepare(statement.trim()).run()
  }
}

/** Gives the guest neighbours with the same password on the same device: a mailed code for each would take minutes. */
async function settle(runtime: BareRuntime): Promise<void> {
  const db = await runtime.getD1Database('DB', 'parvis')
  const guest = await db.prepare('SELECT * FROM users WHERE email = ?').bind(GUEST).first()
  if (!guest) throw new Error('there is no guest yet')
  const names = Object.keys(guest)
  const insert = db.prepare(`INSERT INTO users (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
  for (let n = 0; n < NEIGHBOURS; n++) {
    const id = `${String(guest['id']).slice(0, -2)}${String(n).padStart(2, '0')}`
    await insert.bind(...Object.values({ ...guest, id, email: neighbour(n) })).run()
    await db
      .prepare(
        'INSERT INTO known_devices SELECT ?, token_hash, session_id, created_at, last_used_at, expires_at FROM known_devices WHERE user_id = ?',
      )
      .bind(id, guest['id'])
      .run()
  }
}

/** Posts JSON and reads JSON. */
export async function call<T>(url: string, body: object): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...HOME },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}: ${text}`)
  return (text ? JSON.parse(text) : undefined) as T
}

/** A pair of tokens. */
export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  readonly deviceToken: string
}

/** Registers somebody, proves the address and signs in. */
export async function signUp(origin: string, mailbox: Awaited<ReturnType<typeof startMailbox>>, email: string): Promise<Tokens> {
  const { registrationId } = await call<{ registrationId: string }>(`${origin}/v1/auth/register`, { email, password: PASSWORD })
  await call(`${origin}/v1/auth/verify`, { registrationId, code: await mailbox.codeTo(email) })
  return call<Tokens>(`${origin}/v1/auth/login`, { email, password: PASSWORD })
}

/** Those we are held against are installed by their own lockfile, where nothing of the product can import them. */
export function installPeers(): string {
  const home = resolve('.parvis/bench-peers')
  mkdirSync(home, { recursive: true })
  const lock = join(home, 'package-lock.json')
  const isKept =
    existsSync(join(home, 'node_modules')) && readFileSync(lock, 'utf8') === readFileSync(join(PEERS, 'package-lock.json'), 'utf8')
  cpSync(PEERS, home, { recursive: true })
  if (!isKept) execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: home, stdio: 'inherit' })
  return home
}

/** Durable Objects of wrangler.toml, for a runtime that does not read it. */
function objectsOf(toml: string): Record<string, { readonly className: string; readonly useSQLite: true }> {
  const bindings = toml.matchAll(/\[\[durable_objects\.bindings\]\]\s+name = "(\w+)"\s+class_name = "(\w+)"/g)
  return Object.fromEntries([...bindings].map(([, name = '', className = '']) => [name, { className, useSQLite: true }]))
}

/** Parvis, as it is built for a deployment. */
export function parvis(smtpPort: number) {
  const bindings = {
    ENVIRONMENT: 'dev',
    PUBLIC_ORIGIN: 'https://parvis.test',
    SECRET_KEYS: `1:${randomBytes(32).toString('base64url')}`,
    MAIL_FROM: 'hello@parvis.test',
    MAIL_TRANSPORT: 'smtp',
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(smtpPort),
    SMTP_TLS: 'none',
    // One address asks for everything here: what the limiter costs is measured, its refusals are not.
    LIMITS: 'login=100000/60 login-place=100000/60 login-account=100000/60 register=100000/60 mail=100000/60 register-global=100000/60',
  }
  const options = {
    d1Databases: { DB: 'parvis' },
    durableObjects: objectsOf(readFileSync('wrangler.toml', 'utf8')),
    queueProducers: { OUTBOX: 'outbox' },
  }
  return { name: 'parvis', entry: 'src/edge/worker.ts', config: 'wrangler.toml', bindings, options }
}

/** Parvis, the least that could do each job, and those it is held against, all in one bare runtime. */
export async function startStack() {
  const dir = mkdtempSync(join(tmpdir(), 'parvis-bench-'))
  const peers = installPeers()
  const mailbox = await startMailbox()
  const betterAuth = (name: string, cookieCache: 'yes' | 'no') => ({
    name,
    entry: join(peers, 'better-auth.mjs'),
    bindings: { AUTH_SECRET: randomBytes(32).toString('base64url'), COOKIE_CACHE: cookieCache },
    options: { d1Databases: { DB: name } },
  })
  const { runtime, urls, pid } = await startBare(
    [
      parvis(mailbox.port),
      { name: 'bare', entry: 'test/bench/bare.ts', bindings: {}, options: { d1Databases: { DB: 'bare' } } },
      betterAuth('better-auth', 'yes'),
      betterAuth('better-auth-writing', 'no'),
      { name: 'bcrypt', entry: join(peers, 'bcrypt.mjs'), bindings: {}, options: {} },
    ],
    dir,
  )
  const url = (name: string) => urls[name] ?? ''
  await migrate(runtime)
  for (const name of ['bare', 'better-auth', 'better-auth-writing']) await call(`${url(name)}/prepare`, {})
  const { deviceToken } = await signUp(url('parvis'), mailbox, GUEST)
  await settle(runtime)
  return {
    url,
    pid,
    /** What the guest and the neighbours sign in on: people mostly do where they did before. */
    deviceToken,
    tokens: await signUp(url('parvis'), mailbox, EMAIL),
    async stop() {
      await runtime.dispose()
      await mailbox.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A running {@link startStack}. */
export type Stack = Awaited<ReturnType<typeof startStack>>
