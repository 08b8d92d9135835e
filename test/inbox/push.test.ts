import { createECDH, randomBytes } from 'node:crypto'
import { importJWK, jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Edge, startEdge } from '../harness.ts'
import { post } from '../identity/raw.ts'
import { bearer, knock, meet, type Person } from '../rooms/person.ts'
import { until } from '../until.ts'
import { openPush, startPushService } from './push-service.ts'

const PUSH = '/v1/inbox/push'

let service: Awaited<ReturnType<typeof startPushService>>
let edge: Edge
let ada: Person
beforeAll(async () => {
  service = await startPushService()
  edge = await startEdge({ vars: { PUSH_SERVICES: `${service.origin} updates.push.services.mozilla.com` } })
  ada = await meet(edge, 'ada')
})
afterAll(async () => {
  await edge.stop()
  await service.stop()
})
afterEach(() => {
  service.pushed.length = 0
  service.answers.length = 0
})

let browsers = 0

/** Somebody whose browser is subscribed. */
async function subscriber(name: string) {
  const person = await meet(edge, name)
  const device = createECDH('prime256v1')
  const p256dh = device.generateKeys('base64url')
  const secret = randomBytes(16)
  const path = `/push/${++browsers}`
  const subscription = { endpoint: service.origin + path, keys: { p256dh, auth: secret.toString('base64url') } }
  const answer = await person.send('PUT', PUSH, subscription)
  if (answer.status !== 204) throw new Error(`subscribing answered ${answer.status} ${JSON.stringify(answer.body)}`)
  const mine = () => service.pushed.filter((p) => p.path === path)
  return { ...person, device, secret, subscription, mine, isSubscribed: async () => (await person.send('GET', PUSH)).body['isSubscribed'] }
}

const tell = async (person: Person) => ada.seat(await ada.openRoom(), person, 'editor')

/** Lets what waits for its next try be due now, and tries it. */
async function retry() {
  await until(
    async () =>
      (
        await edge.db
          .prepare("SELECT 1 FROM outbox_events WHERE topic = 'inbox.notify' AND last_error IS NOT NULL AND done_at IS NULL")
          .all()
      ).results.length > 0,
  )
  await edge.db.prepare('UPDATE outbox_events SET next_attempt_at = 0 WHERE done_at IS NULL').run()
  await edge.worker.scheduled({ cron: '* * * * *' })
}
const settled = () =>
  until(
    async () =>
      (await edge.db.prepare("SELECT 1 FROM outbox_events WHERE topic = 'inbox.notify' AND done_at IS NULL").all()).results.length === 0,
  )

test('a notification reaches a device that is not connected, and only that device can read it', async () => {
  const bob = await subscriber('bob')
  await tell(bob)
  const { headers, body } = await until(async () => bob.mine()[0])
  const [notification] = (await bob.send('GET', '/v1/inbox')).body['items'] as [{ id: string }]
  expect(JSON.parse(openPush(body, { device: bob.device, auth: bob.secret }).toString())).toEqual(notification)
  expect(body.toString('latin1')).not.toContain('room-member')
  expect(headers).toMatchObject({ 'content-encoding': 'aes128gcm', ttl: '86400', topic: notification.id.slice(4) })
})

test('the push says who we are (RFC 8292), with the key that devices subscribe to', async () => {
  const cleo = await subscriber('cleo')
  await tell(cleo)
  const { headers } = await until(async () => cleo.mine()[0])
  const { publicKey } = (await cleo.send('GET', PUSH)).body as { publicKey: string }
  const [, token, key] = /^vapid t=([^,]+), k=(.+)$/.exec(headers.authorization ?? '') ?? []
  expect(key).toBe(publicKey)
  const point = Buffer.from(publicKey, 'base64url')
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'))
  const { payload } = await jwtVerify(token!, await importJWK({ kty: 'EC', crv: 'P-256', x: x!, y: y! }, 'ES256'), {
    audience: service.origin,
  })
  expect(payload.sub).toBe('mailto:hello@parvis.test')
  expect(payload.exp! - Date.now() / 1000).toBeLessThanOrEqual(86_400)
  const { results } = await edge.db.prepare('SELECT public_key, sealed_private FROM push_keys').all()
  expect(results).toEqual([{ public_key: publicKey, sealed_private: expect.stringMatching(/^1\./) }])
})

test('who listens on a socket is not pushed to', async () => {
  const dan = await subscriber('dan')
  const { socket } = await knock(edge, '/v1/inbox/live', { protocols: bearer(dan) })
  const heard = new Promise((resolve) =>
    socket!.on('message', (data: ArrayBuffer) => Buffer.from(data).toString().includes('"added"') && resolve(true)),
  )
  const ready = new Promise((resolve) =>
    socket!.on('message', (data: ArrayBuffer) => Buffer.from(data).toString().includes('subscribed') && resolve(true)),
  )
  socket!.send('{"type":"subscribe"}')
  await ready
  await tell(dan)
  await heard
  await settled()
  expect(dan.mine()).toEqual([])
  socket!.close()
})

/** What became of pushes so far, as metrics tell it. */
const counted = async (outcome: string) =>
  (await edge.db.prepare('SELECT counted FROM push_days WHERE outcome = ?').bind(outcome).first<number>('counted')) ?? 0

test.each([404, 410])('a service that answers %i has lost the device, so the subscription goes', async (status) => {
  const before = await counted('gone')
  const eve = await subscriber('eve')
  service.answers.push(status)
  await tell(eve)
  await until(async () => (await eve.isSubscribed()) === false)
  await tell(eve)
  await settled()
  expect(eve.mine()).toHaveLength(1)
  expect(await counted('gone')).toBe(before + 1)
})

test.each([401, 403])(
  'a service that answers %i takes us for somebody else: the device stays, is not asked again for that, and it is counted',
  async (status) => {
    const before = await counted('denied')
    const eva = await subscriber('eva')
    service.answers.push(status)
    await tell(eva)
    await until(async () => (await counted('denied')) === before + 1)
    await settled()
    expect(eva.mine()).toHaveLength(1)
    expect(await eva.isSubscribed()).toBe(true)
    await tell(eva)
    await until(async () => eva.mine().length === 2)
  },
)

test('a device that subscribed to a key which is no longer ours goes without being called', async () => {
  const old = await subscriber('old')
  const key = await edge.db
    .prepare('SELECT public_key, sealed_private FROM push_keys')
    .first<{ public_key: string; sealed_private: string }>()
  const other = createECDH('prime256v1').generateKeys('base64url')
  await edge.db.prepare('UPDATE push_keys SET public_key = ?').bind(other).run()
  await tell(old)
  await until(async () => (await old.isSubscribed()) === false)
  await settled()
  expect(old.mine()).toEqual([])
  await edge.db.prepare('UPDATE push_keys SET public_key = ?').bind(key?.public_key).run()
})

test.each([429, 500, 503])('a service that answers %i is asked again later, and a push that was taken is not repeated', async (status) => {
  const finn = await subscriber('finn')
  service.answers.push(status)
  await tell(finn)
  await retry()
  await until(async () => finn.mine().length === 2)
  await settled()
  const { INBOXES } = await edge.worker.getEnv()
  const [{ id, content }] = (await finn.send('GET', '/v1/inbox')).body['items'] as [{ id: never; content: never }]
  expect((await INBOXES.getByName(finn.userId).notify({ id, content })).targets).toEqual([])
  expect(finn.mine()).toHaveLength(2)
})

test('a subscription ends with its session', async () => {
  const gus = await subscriber('gus')
  await post(edge, '/v1/auth/logout', { refreshToken: gus.refreshToken })
  const { INBOXES } = await edge.worker.getEnv()
  await until(async () => !(await INBOXES.getByName(gus.userId).isSubscribed(gus.sessionId as never)))
  await tell(gus)
  await settled()
  expect(gus.mine()).toEqual([])
})

test('a session that ran out unseen is not pushed to', async () => {
  const hal = await subscriber('hal')
  await edge.db.prepare('UPDATE sessions SET idle_expires_at = 1 WHERE id = ?').bind(hal.sessionId).run()
  await tell(hal)
  await settled()
  expect(hal.mine()).toEqual([])
})

test('a device can unsubscribe, and do so again', async () => {
  const ivy = await subscriber('ivy')
  for (let i = 0; i < 2; i++) expect((await ivy.send('DELETE', PUSH)).status).toBe(204)
  expect(await ivy.isSubscribed()).toBe(false)
})

test.each([
  'https://127.0.0.1/x',
  'https://169.254.169.254/latest/meta-data',
  'http://updates.push.services.mozilla.com/x',
  'https://updates.push.services.mozilla.com:8443/x',
  'https://updates.push.services.mozilla.com.evil.example/x',
  'https://localhost/x',
])('%s is no endpoint to subscribe with', async (endpoint) => {
  const keys = { p256dh: createECDH('prime256v1').generateKeys('base64url'), auth: randomBytes(16).toString('base64url') }
  expect((await ada.send('PUT', PUSH, { endpoint, keys })).slug).toBe('invalid-request')
})

test('a key that is no point of the curve is refused', async () => {
  const keys = { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: randomBytes(16).toString('base64url') }
  expect((await ada.send('PUT', PUSH, { endpoint: `${service.origin}/x`, keys })).slug).toBe('invalid-request')
})
