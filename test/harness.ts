import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readD1Migrations } from '@cloudflare/vitest-plugin'
import { createTestHarness } from 'wrangler'
import { type Client, createClient } from '../src/client/client.ts'
import type { Env } from '../src/edge/env.ts'
import { type MailboxOptions, startMailbox } from './mailbox.ts'

/** The origin that tokens name and pages come from; sockets and requests go to the loopback URL. */
export const ORIGIN = 'https://parvis.test'

/** A passphrase that every test user may share. */
export const PASSWORD = 'correct horse battery staple'

/** Every test user is of one address; tests of the limits themselves set their own, or none for those that ship. */
const ROOMY = 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60'
/** {@link ROOMY} for tests that sign in and write without end. */
export const ROOMY_LIMITS = `${ROOMY} login=100000/60 login-account=100000/60 write=100000/60`

/** One `SECRET_KEYS` entry of a version. */
export const rootSecret = (version = 1) => `${version}:${randomBytes(32).toString('base64url')}`

/** Blanks what a local stack left in `.dev.vars`: tests run on what they say, also after `npm start`. */
function withoutDevVars(): Record<string, string> {
  if (!existsSync('.dev.vars')) return {}
  const names = readFileSync('.dev.vars', 'utf8').matchAll(/^([A-Z_]+)=/gm)
  return Object.fromEntries([...names].map(([, name = '']) => [name, '']))
}

/** A signed-in test user. */
export interface TestUser {
  readonly client: Client
  readonly email: string
  readonly id: string
}

/** The real Worker of wrangler.toml on loopback, with an empty migrated D1, its own objects and a real SMTP server to mail through. */
export async function startEdge({ vars = {}, mail = {} }: { readonly vars?: Record<string, string>; readonly mail?: MailboxOptions } = {}) {
  const mailbox = await startMailbox(mail)
  const settings = {
    ENVIRONMENT: 'dev',
    PUBLIC_ORIGIN: ORIGIN,
    MAIL_FROM: 'hello@parvis.test',
    MAIL_TRANSPORT: 'smtp',
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(mailbox.port),
    SMTP_TLS: 'none',
    LIMITS: ROOMY,
    SECRET_KEYS: rootSecret(),
    RELAY_TRANSPORT: 'tcp',
    ...vars,
  }
  const server = createTestHarness({
    workers: [{ configPath: './wrangler.toml', vars: settings, secrets: { ...withoutDevVars(), ...settings } }],
  })
  const { url } = await server.listen()
  const worker = server.getWorker<Env>()
  const { DB: db } = await worker.getEnv()
  const migrations = await readD1Migrations('migrations')
  await db.batch(migrations.flatMap(({ queries }) => queries).map((query) => db.prepare(query)))
  const origin = url.origin
  let users = 0

  const client = () => createClient({ origin })

  /** Registers, reads the code in the mail, proves the address and signs in. */
  async function signUp(name = 'user'): Promise<TestUser> {
    const email = `${name}-${++users}@example.org`
    const signedIn = client()
    const { registrationId } = await signedIn.register({ body: { email, password: PASSWORD } })
    await signedIn.verifyEmail({ body: { registrationId, code: await mailbox.codeTo(email) } })
    const { userId } = await signedIn.login({ body: { email, password: PASSWORD } })
    if (userId === undefined) throw new Error('a new account asks for a second factor')
    return { client: signedIn, email, id: userId }
  }

  return {
    server,
    worker,
    db,
    /** The database again, after the runtime was restarted under the test. */
    reopenDb: async () => (await worker.getEnv()).DB,
    mailbox,
    origin,
    settings,
    client,
    signUp,
    /** A raw request, for what the typed client would never send. */
    request: (path: string, init?: RequestInit) => fetch(new URL(path, origin), init),
    /** Every structured line that the Worker has logged. */
    logs: () =>
      server
        .getLogs()
        .map((line) => line.message)
        .filter((text) => text.startsWith('{'))
        .map((text) => JSON.parse(text) as Record<string, unknown>),
    async stop() {
      await server.close()
      await mailbox.stop()
    },
  }
}

/** A running {@link startEdge}. */
export type Edge = Awaited<ReturnType<typeof startEdge>>
