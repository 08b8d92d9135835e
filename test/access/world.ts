import type { ApiScope } from '../../src/contract/permission.ts'
import { type Edge, PASSWORD } from '../harness.ts'
import { type Answer, post, read, signInRaw } from '../identity/raw.ts'
import { joinRaw } from '../orgs/join.ts'
import { until } from '../until.ts'

/** A signed-in person. */
export type Person = Awaited<ReturnType<typeof signInRaw>>

/** Every scope that a key can have. */
export const SCOPES: readonly ApiScope[] = [
  'account:read',
  'orgs:read',
  'orgs:write',
  'rooms:read',
  'rooms:write',
  'shells:read',
  'shells:write',
]

/** What one call sends. */
export interface Sent {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly headers?: Record<string, string> | undefined
}

/** Sends a call under a bearer token, or under none. */
export async function send(edge: Edge, token: string | undefined, { method, path, body, headers }: Sent): Promise<Answer> {
  return read(
    await edge.request(path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )
}

/** What a call made, or the reason why it did not. */
export async function made(edge: Edge, by: Pick<Person, 'accessToken'>, sent: Sent): Promise<Record<string, unknown>> {
  const answer = await send(edge, by.accessToken, sent)
  if (answer.status >= 300) throw new Error(`${sent.method} ${sent.path} answered ${answer.status} ${answer.slug}`)
  return answer.body
}

const HOST_ID = 'hst_01jd0000000000000000000001'
const SHELL_ID = 'shl_01jd0000000000000000000001'
const ACCESS_ID = 'acr_01jd0000000000000000000001'
const RUN_ID = 'run_01jd0000000000000000000001'
const PASSKEY_ID = 'pky_01jd0000000000000000000001'
const TRUST_ID = 'trd_01jd0000000000000000000001'

/** A host, a live shell on it and a run that is over, as they stand in the database: no relay is needed to be refused one. */
async function plantShell(edge: Edge, { orgId, userId }: { readonly orgId: string; readonly userId: string }): Promise<void> {
  await edge.db.batch([
    edge.db
      .prepare(
        `INSERT INTO hosts (id, org_id, name, address, port, user, keys, credential_kind, credential, created_at)
         VALUES (?, ?, 'web-1', 'web-1.example.org', 22, 'ops', '[]', 'password', 'sealed', ?)`,
      )
      .bind(HOST_ID, orgId, Date.now()),
    edge.db
      .prepare("INSERT INTO shells (id, org_id, host_id, user_id, state, created_at, updated_at) VALUES (?, ?, ?, ?, 'open', ?, ?)")
      .bind(SHELL_ID, orgId, HOST_ID, userId, Date.now(), Date.now()),
    edge.db
      .prepare(
        "INSERT INTO recordings (id, org_id, host_id, user_id, kind, columns, rows, started_at) VALUES (?, ?, ?, ?, 'pty', 80, 24, ?)",
      )
      .bind(SHELL_ID, orgId, HOST_ID, userId, Date.now()),
    edge.db
      .prepare(
        `INSERT INTO shell_commands (id, org_id, host_id, user_id, command, state, timeout_seconds, started_at, ended_at)
         VALUES (?, ?, ?, ?, 'id', 'done', 30, ?, ?)`,
      )
      .bind(SHELL_ID, orgId, HOST_ID, userId, Date.now(), Date.now()),
    edge.db
      .prepare("INSERT INTO access_requests VALUES (?, ?, ?, ?, 'To look.', 3600, 'pending', NULL, ?, ?)")
      .bind(ACCESS_ID, orgId, HOST_ID, userId, Date.now(), Date.now() + 86_400_000),
    edge.db
      .prepare("INSERT INTO runs VALUES (?, ?, ?, 'id', 5, 0, 'done', 1, 1, 0, ?, ?)")
      .bind(RUN_ID, orgId, userId, Date.now(), Date.now()),
  ])
}

/** A passkey and a trusted device, as they stand in the database. */
const plantFactors = (edge: Edge, { userId, sessionId }: Person) =>
  edge.db.batch([
    edge.db
      .prepare(
        `INSERT INTO passkeys (id, user_id, credential_id, public_key, counter, transports, is_backup_eligible, name, created_at)
         VALUES (?, ?, 'AAAA', 'AAAA', 0, '[]', 1, 'Laptop', ?)`,
      )
      .bind(PASSKEY_ID, userId, Date.now()),
    edge.db
      .prepare(
        `INSERT INTO trusted_devices (id, user_id, token_hash, session_id, created_at, last_used_at, expires_at) VALUES (?, ?, 'AAAA', ?, ?, ?, ?)`,
      )
      .bind(TRUST_ID, userId, sessionId, Date.now(), Date.now(), Date.now() + 86_400_000),
  ])

/** A key of somebody, as a token. */
export async function keyOf(edge: Edge, by: Person, scopes: readonly ApiScope[]): Promise<string> {
  return String((await made(edge, by, { method: 'POST', path: '/v1/auth/keys', body: { name: 'Key', scopes } }))['token'])
}

/** Gives somebody a role in an organisation and in a room. */
async function admit(
  edge: Edge,
  by: Person,
  at: { readonly orgId: unknown; readonly roomId: unknown; readonly person: Person; readonly roles: readonly [string, string] },
) {
  const { orgId, roomId, person, roles } = at
  await joinRaw(edge, by, { orgId, user: person, role: roles[0] })
  await made(edge, by, { method: 'PUT', path: `/v1/rooms/${roomId}/members/${person.userId}`, body: { role: roles[1] } })
}

/** The first notification of somebody, once it is there. */
const notificationOf = (edge: Edge, person: Person): Promise<string> =>
  until(async () => {
    const { items } = await made(edge, person, { method: 'GET', path: '/v1/inbox' })
    return (items as { id: string }[])[0]?.id
  })

/**
 * Ada owns one of everything; Rita reads in her organisation and room, Dora owns them too; Otto owns the same things elsewhere; to Steve
 * nothing belongs. `paths` has what the templates of operations ask for, of Ada's.
 */
export async function makeWorld(edge: Edge) {
  const [ada, rita, dora, otto, steve] = [
    await signInRaw(edge, 'ada'),
    await signInRaw(edge, 'rita'),
    await signInRaw(edge, 'dora'),
    await signInRaw(edge, 'otto'),
    await signInRaw(edge, 'steve'),
  ]
  const as = (person: Person, method: string, path: string, body?: unknown) => made(edge, person, { method, path, body })
  const own = async (person: Person) => ({
    orgId: String((await as(person, 'POST', '/v1/orgs', { name: 'Lighthouse' }))['id']),
    roomId: String((await as(person, 'POST', '/v1/rooms', { name: 'Minutes' }))['id']),
  })
  const { orgId, roomId } = await own(ada)
  const elsewhere = await own(otto)
  await admit(edge, ada, { orgId, roomId, person: rita, roles: ['reader', 'viewer'] })
  await admit(edge, ada, { orgId, roomId, person: dora, roles: ['owner', 'owner'] })
  await joinRaw(edge, otto, { orgId: elsewhere.orgId, user: ada, role: 'reader' })
  await plantShell(edge, { orgId, userId: ada.userId })
  const ids = {
    invitationId: (await as(ada, 'POST', `/v1/orgs/${orgId}/invitations`, { email: 'guest@example.net', role: 'reader' }))['id'],
    inviteId: (await as(ada, 'POST', `/v1/rooms/${roomId}/invites`, { role: 'viewer' }))['id'],
    keyId: (await as(ada, 'POST', `/v1/orgs/${orgId}/ssh-ca/keys`))['id'],
    versionId: (await as(ada, 'POST', `/v1/rooms/${roomId}/versions`, { name: 'First' }))['id'],
    apiKeyId: ((await as(ada, 'POST', '/v1/auth/keys', { name: 'Key', scopes: SCOPES }))['apiKey'] as { id: string }).id,
    notificationId: await notificationOf(edge, ada),
    webhookId: (
      (await as(ada, 'POST', '/v1/webhooks', { orgId, url: 'https://app.example.net/hook', kinds: ['room.created'] }))['webhook'] as {
        id: string
      }
    ).id,
    eventId: 'evt_01jd0000000000000000000001',
  }
  await plantFactors(edge, ada)
  return {
    ada,
    rita,
    dora,
    otto,
    steve,
    elsewhere,
    paths: {
      orgId,
      roomId,
      ...ids,
      hostId: HOST_ID,
      shellId: SHELL_ID,
      runId: RUN_ID,
      requestId: ACCESS_ID,
      point: 'before-connect',
      userId: dora.userId,
      sessionId: ada.sessionId,
      passkeyId: PASSKEY_ID,
      trustedDeviceId: TRUST_ID,
      kid: 'audit-1',
    } as Readonly<Record<string, string>>,
    /** Signs somebody in on one more device. */
    signIn: async (person: Person): Promise<Person> => {
      const { body } = await post(edge, '/v1/auth/login', { email: person.email, password: PASSWORD })
      return {
        ...person,
        accessToken: String(body['accessToken']),
        sessionId: String(body['sessionId']),
        refreshToken: String(body['refreshToken']),
      }
    },
  }
}

/** A running {@link makeWorld}. */
export type World = Awaited<ReturnType<typeof makeWorld>>
