import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { SessionId, UserId } from '../../src/contract/identity.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { eraseIdentity } from '../../src/edge/identity/service.ts'
import { sessionEnd } from '../../src/edge/identity/session-end.ts'
import { endSession } from '../../src/edge/identity/session-store.ts'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { accountsOf } from '../identity/account.ts'
import { codeOf } from '../identity/authenticator.ts'
import { mailsOf } from '../identity/mailed.ts'
import { post, read, register } from '../identity/raw.ts'
import { scopeOf } from '../identity/scope.ts'
import { allowedMs } from '../pace.ts'
import { bearer, editorOf, knock, until as untilEditor } from '../rooms/person.ts'
import { openRawViewer } from '../shell/raw-viewer.ts'
import { startRig } from '../shell/rig.ts'
import { until } from '../until.ts'
import { closeFrameOf } from './close-frame.ts'

/** What is promised: from the answer of whoever ends a session to the close of its sockets. */
const BOUND_MS = 1_000

interface Device {
  readonly accessToken: string
  readonly refreshToken: string
  readonly sessionId: SessionId
  readonly userId: UserId
}

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ vars: { SESSIONS_PER_USER: '3' } })
})
afterAll(() => edge.stop())

async function signIn(email: string): Promise<Device> {
  const answer = await post(edge, '/v1/auth/login', { email, password: PASSWORD })
  if (answer.status !== 200) throw new Error(`login answered ${answer.status}`)
  return answer.body as unknown as Device
}

async function call({ accessToken }: Device, method: string, path: string, body?: unknown) {
  const headers = { authorization: `Bearer ${accessToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  return read(await edge.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }))
}

const { ask, count, reset } = accountsOf(() => edge)
const { about, newest, restore } = mailsOf(() => edge)
const OTHER = 'a staple of horses, batteries and such'

/** As many users as are told in more than two goes, and of ids before all real ones. */
const HUNDREDS = 'WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 250) SELECT value FROM n'

const openRoom = async (device: Device) => (await call(device, 'POST', '/v1/rooms', { name: 'room' })).body['id'] as RoomId

/** Somebody on two devices, the second of which sits in a room and listens to the inbox. */
async function twoDevices(name: string) {
  const email = await register(edge, name)
  const [first, second] = [await signIn(email), await signIn(email)]
  const roomId = await openRoom(first)
  const opened = [await enter(`/v1/rooms/${roomId}/y`, bearer(second)), await enter('/v1/inbox/live', bearer(second))] as const
  return { email, first, second, roomId, socket: opened[0].socket, closed: opened[0].closed, allClosed: opened.map(({ closed }) => closed) }
}

async function enter(path: string, protocols: string[]) {
  const { socket, slug } = await knock(edge, path, { protocols })
  if (!socket) throw new Error(`refused: ${slug}`)
  return { socket, closed: closeFrameOf(socket).then((close) => ({ ...close, at: Date.now() })) }
}

/** An admin, made by whoever may write to the database. */
async function admin(): Promise<Device> {
  const device = await signIn(await register(edge, 'root'))
  await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(device.userId).run()
  return device
}

const SESSION_ENDED = { code: 4401, reason: 'session-ended' }

type Devices = Awaited<ReturnType<typeof twoDevices>>
/** The last step of a way; what leads there is done before. */
type End = () => Promise<unknown>

/** Every way a session ends by another device's hand, an admin's, or its own. */
const WAYS: Readonly<Record<string, (of: Devices) => End | Promise<End>>> = {
  'signing out':
    ({ second }) =>
    () =>
      post(edge, '/v1/auth/logout', { refreshToken: second.refreshToken }),
  'revoking it':
    ({ first, second }) =>
    () =>
      call(first, 'DELETE', `/v1/auth/sessions/${second.sessionId}`),
  'revoking all others':
    ({ first }) =>
    () =>
      call(first, 'DELETE', '/v1/auth/sessions'),
  'a new password':
    ({ first }) =>
    () =>
      call(first, 'POST', '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER }),
  'a password that is reset by mail': async ({ email }) => {
    const { resetId, code } = await ask(email)
    return () => reset(resetId, code, OTHER)
  },
  'an address that is taken back': async ({ email, first }) => {
    const next = `next-${email}`
    await call(first, 'POST', '/v1/me/email', { email: next })
    await call(first, 'POST', '/v1/me/email/confirm', { token: (await newest(next)).token })
    const { token } = await about(email, /^The address of your/)
    return () => restore(token)
  },
  'a second factor that another device adds': async ({ first }) => {
    const { body } = await call(first, 'POST', '/v1/auth/totp')
    return () => call(first, 'POST', '/v1/auth/totp/confirm', { code: codeOf(String(body['secret'])) })
  },
  'an old refresh token that comes back': async ({ second }) => {
    let { refreshToken } = second
    for (let i = 0; i < 2; i++) {
      refreshToken = String((await post(edge, '/v1/auth/refresh', { refreshToken })).body['refreshToken'])
    }
    return () => post(edge, '/v1/auth/refresh', { refreshToken: second.refreshToken })
  },
  'an admin who shuts its user out': async ({ first }) => {
    const root = await admin()
    return () => call(root, 'POST', `/v1/admin/users/${first.userId}/disable`, { reason: 'Spam' })
  },
  'an admin who ends all that its user began': async ({ first }) => {
    const root = await admin()
    return () => call(root, 'DELETE', `/v1/admin/users/${first.userId}/sessions`)
  },
  'an admin who ends all that anybody began': async () => {
    const root = await admin()
    return () => call(root, 'DELETE', '/v1/admin/sessions')
  },
  'the deletion of its account':
    ({ first }) =>
    () =>
      call(first, 'DELETE', '/v1/me'),
}

describe('a socket in a room and one to the inbox close when their session ends', () => {
  test.each(Object.entries(WAYS))('by %s', { timeout: 120_000 }, async (_, lead) => {
    const devices = await twoDevices('way')
    const end = await lead(devices)
    await end()
    const answeredAt = Date.now()
    for (const { at, ...close } of await Promise.all(devices.allClosed)) {
      expect(close).toEqual(SESSION_ENDED)
      expect(at - answeredAt).toBeLessThan(await allowedMs(edge, BOUND_MS))
    }
  })

  test('by one sign-in too many: the longest unseen goes', async () => {
    const { email, first, closed } = await twoDevices('limit')
    await post(edge, '/v1/auth/refresh', { refreshToken: first.refreshToken })
    await signIn(email)
    await signIn(email)
    expect(await closed).toMatchObject(SESSION_ENDED)
  })

  test('by the erasure of its user', async () => {
    const { first, closed } = await twoDevices('erased')
    // The seats go first, as in a whole erasure, but here their own event is not what closes the socket.
    await edge.db.batch([
      edge.db.prepare('DELETE FROM room_members WHERE user_id = ?').bind(first.userId),
      edge.db.prepare('UPDATE rooms SET creator_id = NULL WHERE creator_id = ?').bind(first.userId),
    ])
    await eraseIdentity(scopeOf(edge), first.userId)
    await edge.worker.scheduled({ cron: '* * * * *' })
    expect(await closed).toMatchObject(SESSION_ENDED)
  })

  test('and nobody else’s does: not another device, not another member', async () => {
    const { first, second, roomId, closed } = await twoDevices('others')
    const { socket: mine } = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: bearer(first) })
    await call(first, 'DELETE', `/v1/auth/sessions/${second.sessionId}`)
    expect(await closed).toMatchObject(SESSION_ENDED)
    expect(mine?.readyState).toBe(WebSocket.OPEN)
    mine?.close()
  })

  test('through an unmodified y-websocket provider, whose document stays whole', async () => {
    const { first, second, roomId, socket } = await twoDevices('yjs')
    socket.close()
    const editor = editorOf(edge, roomId, { protocols: bearer(second) })
    editor.text.insert(0, 'kept')
    await untilEditor(editor, () => editor.provider.synced)
    const closed = new Promise<{ code: number; reason: string }>((resolve) =>
      editor.provider.on('connection-close', (event) => event && resolve({ code: event.code, reason: event.reason })),
    )
    await call(first, 'DELETE', `/v1/auth/sessions/${second.sessionId}`)
    expect(await closed).toEqual(SESSION_ENDED)
    editor.stop()
    const witness = editorOf(edge, roomId, { protocols: bearer(first) })
    await untilEditor(witness, () => witness.text.toString() === 'kept')
    witness.stop()
  })
})

test('a socket that joins while its session is being ended closes too', { timeout: 120_000 }, async () => {
  for (let round = 0; round < 8; round++) {
    const { first, second, roomId, socket } = await twoDevices('race')
    socket.close()
    const joins = Array.from({ length: 4 }, () => knock(edge, `/v1/rooms/${roomId}/y`, { protocols: bearer(second) }))
    const revoked = call(first, 'DELETE', `/v1/auth/sessions/${second.sessionId}`)
    const knocks = await Promise.all(joins)
    expect((await revoked).status).toBe(204)
    for (const { socket: joined, slug } of knocks) {
      if (joined === undefined) expect(slug).toBe('session-ended')
      else await until(async () => joined.readyState !== WebSocket.OPEN)
    }
  }
})

test('what ends for everybody ends for whoever comes last too, with their API keys', { timeout: 120_000 }, async () => {
  const root = await admin()
  const { first, allClosed } = await twoDevices('last')
  const { body } = await call(first, 'POST', '/v1/auth/keys', { name: 'Backup', scopes: ['rooms:read', 'rooms:write'], expiresInDays: 1 })
  const byKey = await enter(`/v1/rooms/${await openRoom(first)}/y`, ['parvis', `bearer.${body['token']}`])
  await edge.db.batch([
    edge.db.prepare(`INSERT INTO users (id, email, password_hash, locale, created_at)
      SELECT printf('usr_%026d', value), value || '@example.com', '', 'en', 1 FROM (${HUNDREDS})`),
    edge.db.prepare(`INSERT INTO sessions (id, user_id, mode, counter, created_at, refreshed_at, idle_expires_at, expires_at)
      SELECT printf('ses_%026d', value), printf('usr_%026d', value), 'bearer', 0, 1, 1, ${Date.now()} + 60000, ${Date.now()} + 60000 FROM (${HUNDREDS})`),
  ])
  await call(root, 'DELETE', '/v1/admin/sessions')
  for (const closed of [...allClosed, byKey.closed]) expect(await closed).toMatchObject(SESSION_ENDED)
  expect(await count("SELECT count(*) AS n FROM sessions WHERE user_id LIKE 'usr_0%' AND ended_at IS NULL")).toBe(0)
})

test('an end whose event nobody delivered is found by the sweep', async () => {
  const { second, closed } = await twoDevices('swept')
  const scope = scopeOf(edge)
  const now = scope.now()
  const end = await sessionEnd(scope, { userId: second.userId, now })
  await scope.db.batch([endSession(scope.db, second.sessionId, { now, cause: 'crash' }), end.statement])
  await edge.worker.scheduled({ cron: '* * * * *' })
  expect(await closed).toMatchObject(SESSION_ENDED)
})

test('a viewer of a shell is closed when its session ends', { timeout: 120_000 }, async () => {
  const rig = await startRig()
  try {
    const opened = await rig.owner.client.openShell({ body: { hostId: rig.host.id } })
    const protocols = ['parvis', `bearer.${await rig.owner.client.accessToken()}`]
    const viewer = await openRawViewer(rig.edge.origin, opened.id, protocols)
    viewer.tell({ type: 'attach' })
    await viewer.frame('hello')
    await rig.owner.client.logout()
    const answeredAt = Date.now()
    expect(await viewer.closed()).toEqual(SESSION_ENDED)
    const tookMs = Date.now() - answeredAt
    expect(tookMs).toBeLessThan(await allowedMs(rig.edge, BOUND_MS))
  } finally {
    await rig.stop()
  }
})
