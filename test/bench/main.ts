import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startMailbox } from '../mailbox.ts'
import { fire, median, pace, type Round, type Shot } from './load.ts'
import { type BareRuntime, startBare } from './runtime.ts'

const ROUNDS = 3
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4)
const CONNECTIONS = 16
const PASSWORD = 'correct horse battery staple'
const EMAIL = 'bench@example.org'
/** The edge says where a call comes from; people mostly sign in from where they did before. */
const HOME = { 'cf-connecting-ip': '203.0.113.7' }

/** A measurement: what it is of, what it is held against, and the bar. */
interface Row {
  readonly name: string
  readonly mine: Shot
  readonly bare: Shot
  /** Throughput at full speed, or the time of one call after another. */
  readonly by: 'throughput' | 'latency'
  readonly bar: { readonly ratioMin?: number; readonly ratioMax?: number; readonly p50MsMax?: number }
}

/** Statements end at a semicolon, but for the one trigger body that holds some: it ends with `END;`. */
const STATEMENT = /\s*(?:CREATE TRIGGER[\s\S]*?\bEND;|[^;]+;)/g

async function migrate(runtime: BareRuntime): Promise<void> {
  const db = await runtime.getD1Database('DB', 'parvis')
  for (const file of readdirSync('migrations').sort()) {
    const sql = readFileSync(join('migrations', file), 'utf8').replace(/--.*$/gm, '').trim()
    for (const [statement] of sql.matchAll(STATEMENT)) await db.prepare(statement.trim()).run()
  }
}

async function call<T>(url: string, body: object): Promise<T> {
  const headers = { 'content-type': 'application/json', ...HOME }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}: ${text}`)
  return (text ? JSON.parse(text) : undefined) as T
}

interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
}

async function signIn(origin: string, mailbox: Awaited<ReturnType<typeof startMailbox>>): Promise<Tokens> {
  const { registrationId } = await call<{ registrationId: string }>(`${origin}/v1/auth/register`, { email: EMAIL, password: PASSWORD })
  await call(`${origin}/v1/auth/verify`, { registrationId, code: await mailbox.codeTo(EMAIL) })
  return call<Tokens>(`${origin}/v1/auth/login`, { email: EMAIL, password: PASSWORD })
}

function rowsOf({ parvis, bare }: { readonly parvis: string; readonly bare: string }, { accessToken, refreshToken }: Tokens): Row[] {
  const headers = { authorization: `Bearer ${accessToken}` }
  const refreshBody = (token: string) => JSON.stringify({ refreshToken: token })
  const session: Shot = { name: 'session', url: `${parvis}/v1/auth/session`, headers }
  const empty: Shot = { name: 'empty', url: `${bare}/empty` }
  const login: Shot = {
    name: 'login',
    url: `${parvis}/v1/auth/login`,
    method: 'POST',
    headers: HOME,
    body: JSON.stringify({ email: EMAIL, password: PASSWORD }),
  }
  const refresh: Shot = {
    name: 'refresh',
    url: `${parvis}/v1/auth/refresh`,
    method: 'POST',
    body: refreshBody(refreshToken),
    next: (answer) => refreshBody((JSON.parse(answer) as Tokens).refreshToken),
  }
  return [
    { name: '`GET /v1/auth/session` against an empty Hono route', mine: session, bare: empty, by: 'throughput', bar: { ratioMin: 0.6 } },
    { name: '`GET /v1/auth/session`, one connection', mine: session, bare: empty, by: 'latency', bar: { p50MsMax: 1 } },
    {
      name: '`GET /v1/me` against a bare D1 read',
      mine: { name: 'me', url: `${parvis}/v1/me`, headers },
      bare: { name: 'read', url: `${bare}/read` },
      by: 'throughput',
      bar: {},
    },
    {
      name: '`POST /v1/auth/refresh` against a bare D1 write',
      mine: refresh,
      bare: { name: 'write', url: `${bare}/write`, method: 'POST' },
      by: 'latency',
      bar: { ratioMin: 0.7 },
    },
    // Last: every sign-in is one more session, and the oldest of too many ends.
    {
      name: '`POST /v1/auth/login` against the bare hash',
      mine: login,
      bare: { name: 'hash', url: `${bare}/hash`, method: 'POST' },
      by: 'latency',
      bar: { ratioMax: 1.15 },
    },
  ]
}

/** Rounds alternate between the two sides, so a busy neighbour meets both. */
async function measure(row: Row): Promise<{ readonly mine: Round; readonly bare: Round; readonly ratio: number }> {
  const shoot = (shot: Shot) => (row.by === 'throughput' ? fire(shot, { connections: CONNECTIONS, seconds: SECONDS }) : pace(shot, SECONDS))
  const pairs: { readonly mine: Round; readonly bare: Round }[] = []
  await shoot({ ...row.bare })
  for (let i = 0; i < ROUNDS; i++) {
    const bare = await shoot(row.bare)
    pairs.push({ bare, mine: await shootOn(row.mine, shoot) })
  }
  const of = (side: 'mine' | 'bare', key: keyof Round) => median(pairs.map((p) => p[side][key]))
  const round = (side: 'mine' | 'bare'): Round => ({
    perSecond: of(side, 'perSecond'),
    p50Ms: of(side, 'p50Ms'),
    p99Ms: of(side, 'p99Ms'),
    failures: Math.max(...pairs.map((p) => p[side].failures)),
  })
  const isTime = row.bar.ratioMax !== undefined
  const ratio = median(pairs.map(({ mine, bare }) => (isTime ? mine.p50Ms / bare.p50Ms : mine.perSecond / bare.perSecond)))
  return { mine: round('mine'), bare: round('bare'), ratio }
}

/** A call that moves on starts each round where the last one ended. */
async function shootOn(shot: Shot, shoot: (shot: Shot) => Promise<Round>): Promise<Round> {
  if (!shot.next) return shoot(shot)
  let body = moving.get(shot.name) ?? shot.body
  const round = await shoot({
    ...shot,
    ...(body === undefined ? {} : { body }),
    next: (answer) => {
      body = shot.next?.(answer)
      return body ?? ''
    },
  })
  if (body !== undefined) moving.set(shot.name, body)
  return round
}
const moving = new Map<string, string>()

function verdict({ bar }: Row, { mine, bare, ratio }: Awaited<ReturnType<typeof measure>>): string {
  if (mine.failures + bare.failures > 0) return `FAILED: ${mine.failures} and ${bare.failures} bad answers`
  const checks = [
    ...(bar.ratioMin === undefined ? [] : [{ said: `≥ ${bar.ratioMin}`, isMet: ratio >= bar.ratioMin }]),
    ...(bar.ratioMax === undefined ? [] : [{ said: `≤ ${bar.ratioMax}`, isMet: ratio <= bar.ratioMax }]),
    ...(bar.p50MsMax === undefined ? [] : [{ said: `p50 < ${bar.p50MsMax} ms`, isMet: mine.p50Ms < bar.p50MsMax }]),
  ]
  return checks.length === 0 ? '–' : checks.map((c) => `${c.said} ${c.isMet ? 'met' : 'MISSED'}`).join(', ')
}

const rounded = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'parvis-bench-'))
  const mailbox = await startMailbox()
  const bindings = {
    ENVIRONMENT: 'dev',
    PUBLIC_ORIGIN: 'https://parvis.test',
    SECRET_KEYS: `1:${randomBytes(32).toString('base64url')}`,
    MAIL_FROM: 'hello@parvis.test',
    MAIL_TRANSPORT: 'smtp',
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(mailbox.port),
    SMTP_TLS: 'none',
    // One address asks for everything here: what the limiter costs is measured, its refusals are not.
    LIMITS: 'login=100000/60 login-place=100000/60 login-account=100000/60',
  }
  const options = {
    d1Databases: { DB: 'parvis' },
    durableObjects: {
      ROOMS: { className: 'RoomObject', useSQLite: true },
      SHELLS: { className: 'ShellObject', useSQLite: true },
      INBOXES: { className: 'InboxObject', useSQLite: true },
      LIMITERS: { className: 'LimiterObject', useSQLite: true },
    },
    queueProducers: { OUTBOX: 'outbox' },
  }
  const { runtime, urls } = await startBare(
    [
      { name: 'parvis', entry: 'src/edge/worker.ts', config: 'wrangler.toml', bindings, options },
      { name: 'bare', entry: 'test/bench/bare.ts', bindings: {}, options: { d1Databases: { DB: 'bare' } } },
    ],
    dir,
  )
  try {
    const [parvis = '', bare = ''] = [urls['parvis'], urls['bare']]
    await migrate(runtime)
    await call(`${bare}/prepare`, {})
    const tokens = await signIn(parvis, mailbox)
    console.log('| what | ours | bare | ratio | p50 ms | p99 ms | bar |\n| --- | --- | --- | --- | --- | --- | --- |')
    for (const row of rowsOf({ parvis, bare }, tokens)) {
      const m = await measure(row)
      const cells = [
        row.name,
        `${rounded(m.mine.perSecond)}/s`,
        `${rounded(m.bare.perSecond)}/s`,
        m.ratio.toFixed(2),
        rounded(m.mine.p50Ms),
        rounded(m.mine.p99Ms),
        verdict(row, m),
      ]
      console.log(`| ${cells.join(' | ')} |`)
    }
  } finally {
    await runtime.dispose()
    await mailbox.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

await main()
