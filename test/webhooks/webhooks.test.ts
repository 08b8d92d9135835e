import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RoomId } from '../../src/contract/rooms.ts'
import { WEBHOOK_ATTEMPTS_MAX, WEBHOOKS_MAX, WebhookKind } from '../../src/contract/webhooks.ts'
import { type Edge, startEdge } from '../harness.ts'
import { joinRaw } from '../orgs/join.ts'
import { meet, type Person } from '../rooms/person.ts'
import { until } from '../until.ts'
import { printedVerify, type Received, startDns, startReceiver } from './receiver.ts'

let receiver: Awaited<ReturnType<typeof startReceiver>>
let dns: Awaited<ReturnType<typeof startDns>>
let verify: Awaited<ReturnType<typeof printedVerify>>
let edge: Edge
let bob: Person
let stranger: Person
beforeAll(async () => {
  ;[receiver, dns, verify] = await Promise.all([startReceiver(), startDns(), printedVerify()])
  edge = await startEdge({ vars: { WEBHOOK_DNS_URL: dns.url } })
  ;[bob, stranger] = await Promise.all([meet(edge, 'bob'), meet(edge, 'stranger')])
})
afterAll(async () => {
  await edge.stop()
  await receiver.stop()
  await dns.stop()
})

let paths = 0

/** Somebody with a webhook of their own. */
async function listener(kinds: readonly WebhookKind[] = WebhookKind.options, orgId?: string) {
  const person = await meet(edge, 'ada')
  return { ...person, ...(await hookOf(person, kinds, orgId)) }
}

async function hookOf(person: Person, kinds: readonly WebhookKind[], orgId?: string) {
  const path = `/hooks/${++paths}`
  const { status, body } = await person.send('POST', '/v1/webhooks', {
    url: receiver.origin + path,
    kinds,
    ...(orgId === undefined ? {} : { orgId }),
  })
  if (status !== 201) throw new Error(`createWebhook answered ${status} ${JSON.stringify(body)}`)
  const { webhook, secret } = body as { webhook: { id: string }; secret: string }
  const url = `/v1/webhooks/${webhook.id}`
  const mine = (type?: string) => receiver.at(path).filter(({ body: { type: sent } }) => type === undefined || sent === type)
  return { path, url, id: webhook.id, secret, mine, hears: (type: string, n = 1) => until(async () => mine(type).at(n - 1)) }
}

type Listener = Awaited<ReturnType<typeof listener>>
const show = async (l: Listener) => (await l.send('GET', l.url)).body
const deliveries = async (l: Listener, query = '') =>
  (await l.send('GET', `${l.url}/deliveries${query}`)).body['items'] as Record<string, unknown>[]

/** Lets what waits for its next try be due now, and tries it. */
async function retry(id: string, attempts: number) {
  await until(async () => (await attemptsOf(id)) === attempts)
  await until(async () => {
    await edge.db
      .prepare(
        "UPDATE outbox_events SET next_attempt_at = 0 WHERE topic = 'webhooks.deliver' AND done_at IS NULL AND last_error IS NOT NULL",
      )
      .run()
    await edge.worker.scheduled({ cron: '* * * * *' })
    return (await attemptsOf(id)) > attempts
  })
}
const attemptsOf = async (id: string) =>
  (await edge.db.prepare('SELECT max(attempts) AS n FROM webhook_deliveries WHERE webhook_id = ?').bind(id).first<number>('n')) ?? 0

describe('a webhook', () => {
  test('is told what happens to the rooms of its user, each event once, signed as the documentation verifies', async () => {
    const ada = await listener()
    const roomId = await ada.openRoom()
    await ada.send('PATCH', `/v1/rooms/${roomId}`, { name: 'Minutes' })
    await ada.seat(roomId, bob, 'editor')
    await ada.seat(roomId, bob, 'viewer')
    await ada.unseat(roomId, bob)
    await ada.send('POST', `/v1/rooms/${roomId}/versions`, { name: 'draft' })
    await ada.send('PATCH', `/v1/rooms/${roomId}`, { archived: true })
    await ada.send('PATCH', `/v1/rooms/${roomId}`, { archived: false })
    await ada.send('DELETE', `/v1/rooms/${roomId}`)
    const expected = WebhookKind.options.filter((kind) => !kind.startsWith('room.message.'))
    for (const kind of expected) await ada.hears(kind)
    expect(
      ada
        .mine()
        .map(({ body }) => body.type)
        .sort(),
    ).toEqual(expected.toSorted())
    for (const { headers, raw } of ada.mine()) expect(verify(headers, raw, ada.secret)).toBe(true)
    expect(ada.mine('room.member.added')[0]?.body.data).toEqual({ roomId, userId: bob.userId, role: 'editor', actorId: ada.userId })
    expect(ada.mine('room.renamed')[0]?.body.data).toEqual({ roomId, name: 'Minutes', orgId: null, actorId: ada.userId })
    await until(async () => (await deliveries(ada)).every(({ state, status }) => state === 'delivered' && status === 204))
    expect(await show(ada)).toMatchObject({ failingSince: null, succeededAt: expect.any(String), disabledAt: null })
  })

  test('is told of messages by number, in an event that holds none of their text, and each once', async () => {
    const ada = await listener(['room.message.published', 'room.message.edited', 'room.message.deleted'])
    const roomId = await ada.openRoom()
    const say = async (action: object) =>
      (await ada.send('POST', `/v1/rooms/${roomId}/messages`, { cid: randomBytes(9).toString('base64url'), action })).body
    const { seq, epoch } = await say({ kind: 'post', text: 'a thing that is between us' })
    await ada.hears('room.message.published')
    await say({ kind: 'edit', message: seq, text: 'another thing' })
    await say({ kind: 'react', message: seq, emoji: '👍' })
    await say({ kind: 'delete', message: seq })
    const gone = await ada.hears('room.message.deleted')
    expect(gone.body.data).toEqual({ roomId, epoch, seq: 4, userId: ada.userId, message: seq })
    expect(verify(gone.headers, gone.raw, ada.secret)).toBe(true)
    expect(ada.mine().map(({ body }) => body.type)).toEqual(expect.arrayContaining(['room.message.published', 'room.message.edited']))
    expect(ada.mine()).toHaveLength(3)
    expect(JSON.stringify(ada.mine())).not.toContain('thing')
  })

  test('of an organisation hears of its rooms, and nobody else’s does', async () => {
    const ada = await meet(edge, 'ada')
    const orgId = String((await ada.send('POST', '/v1/orgs', { name: 'Harbour' })).body['id'])
    const [ours, own] = [await hookOf(ada, ['room.created'], orgId), await hookOf(ada, ['room.created'])]
    const other = await listener(['room.created'])
    const housed = (await ada.send('POST', '/v1/rooms', { name: 'quay', orgId })).body['id']
    const mine = await ada.openRoom()
    expect((await ours.hears('room.created')).body.data).toMatchObject({ roomId: housed, orgId })
    expect((await own.hears('room.created')).body.data).toMatchObject({ roomId: mine, orgId: null })
    expect([ours.mine(), own.mine(), other.mine()].map((all) => all.length)).toEqual([1, 1, 0])
    await ada.send('DELETE', `/v1/orgs/${orgId}`)
    await until(async () => (await ada.send('GET', ours.url)).status === 404)
  })

  test('is its owner’s alone', async () => {
    const ada = await listener()
    const calls = [
      ['GET', ada.url],
      ['PATCH', ada.url, { enabled: false }],
      ['POST', `${ada.url}/rotate`],
      ['GET', `${ada.url}/deliveries`],
      ['DELETE', ada.url],
    ] as const
    for (const [method, path, body] of calls) expect((await stranger.send(method, path, body)).slug).toBe('not-found')
    const orgId = String((await ada.send('POST', '/v1/orgs', { name: 'Harbour' })).body['id'])
    const { url } = await hookOf(ada, ['room.created'], orgId)
    await joinRaw(edge, ada, { orgId, user: bob, role: 'operator' })
    expect((await bob.send('GET', url)).slug).toBe('forbidden')
    expect((await bob.send('POST', '/v1/webhooks', { url: receiver.origin, kinds: ['room.created'], orgId })).slug).toBe('forbidden')
    expect((await stranger.send('GET', `/v1/webhooks?orgId=${orgId}`)).slug).toBe('not-found')
    expect((await ada.send('DELETE', ada.url)).status).toBe(204)
    expect((await ada.send('DELETE', ada.url)).slug).toBe('not-found')
  })

  test('does not show its secret again; it lies sealed, and appears in no log', async () => {
    const ada = await listener()
    expect(ada.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const listed = (await ada.send('GET', '/v1/webhooks')).body
    expect(JSON.stringify([await show(ada), listed])).not.toContain(ada.secret.slice(6))
    const row = await edge.db.prepare('SELECT * FROM webhooks WHERE id = ?').bind(ada.id).first()
    expect(row?.['secret']).toMatch(/^1\./)
    expect(JSON.stringify(row)).not.toContain(ada.secret.slice(6))
    expect(JSON.stringify(edge.logs())).not.toContain(ada.secret.slice(6))
  })

  test('has a limit per owner, which racing calls do not pass', async () => {
    const ada = await meet(edge, 'ada')
    const wanted = { url: receiver.origin, kinds: ['room.created'] }
    const answers = await Promise.all(Array.from({ length: WEBHOOKS_MAX + 3 }, () => ada.send('POST', '/v1/webhooks', wanted)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(WEBHOOKS_MAX)
    expect(answers.filter(({ slug }) => slug === 'limit-reached')).toHaveLength(3)
  })
})

test('after a rotation both secrets sign for a day, then the new one alone; of racing rotations one is told to come again', async () => {
  const ada = await listener(['room.created'])
  const [one, two] = await Promise.all([ada.send('POST', `${ada.url}/rotate`), ada.send('POST', `${ada.url}/rotate`)])
  const done = [one, two].filter(({ status }) => status === 200)
  expect([one, two].filter(({ slug, status }) => status === 200 || slug === 'conflict')).toHaveLength(2)
  const secret = String(done.at(-1)?.body['secret'])
  const before = done.length === 1 ? ada.secret : String(done[0]?.body['secret'])
  await ada.openRoom()
  const both = await ada.hears('room.created')
  const verifies = ({ headers, raw }: Received, by: string) => verify(headers, raw, by)
  if (done.length === 1) expect([verifies(both, before), verifies(both, secret)]).toEqual([true, true])
  expect(String(both.headers['webhook-signature']).split(' ')).toHaveLength(2)
  await edge.db.prepare('UPDATE webhooks SET previous_until = 1 WHERE id = ?').bind(ada.id).run()
  await ada.openRoom()
  const after = await ada.hears('room.created', 2)
  expect([verifies(after, before), verifies(after, secret)]).toEqual([false, true])
  expect(verify({ ...after.headers, 'webhook-id': 'evt_other' }, after.raw, secret)).toBe(false)
  expect(verify(after.headers, `${after.raw} `, secret)).toBe(false)
  expect(verify(after.headers, after.raw, secret, Date.now() / 1000 + 301)).toBe(false)
})

describe('a receiver that fails', () => {
  test.each([500, 404, 429])('with %i is tried again with the same id until it takes the event', async (status) => {
    const ada = await listener(['room.created'])
    receiver.answer(ada.path, status, 204)
    await ada.openRoom()
    await retry(ada.id, 1)
    const [first, second] = ada.mine()
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
    expect(second?.raw).toBe(first?.raw)
    await until(async () => (await deliveries(ada))[0]?.['state'] === 'delivered')
    expect((await deliveries(ada))[0]).toMatchObject({ attempts: 2, status: 204, failure: null })
  })

  test('with a redirect is not followed', async () => {
    const ada = await listener(['room.created'])
    receiver.answer(ada.path, { location: `${receiver.origin}/inward` })
    await ada.openRoom()
    // The harness's way out answers 500 for a redirect that is not to be followed.
    await until(async () => ['redirect', 'answer'].includes(String((await deliveries(ada))[0]?.['failure'])))
    expect(receiver.at('/inward')).toEqual([])
  })

  test('for good makes a dead letter, which can be listed and replayed once it works', async () => {
    const ada = await listener(['room.created'])
    receiver.answer(ada.path, 503)
    await ada.openRoom()
    for (let attempts = 1; attempts < WEBHOOK_ATTEMPTS_MAX; attempts++) await retry(ada.id, attempts)
    const dead = async () => deliveries(ada, '?state=dead')
    const [letter] = await until(async () => ((await dead()).length > 0 ? dead() : undefined))
    expect(letter).toMatchObject({ state: 'dead', attempts: WEBHOOK_ATTEMPTS_MAX, status: 503, failure: 'answer' })
    expect(await show(ada)).toMatchObject({ failingSince: expect.any(String), disabledAt: null })
    expect(ada.mine()).toHaveLength(WEBHOOK_ATTEMPTS_MAX)
    receiver.answer(ada.path, 204)
    const path = `${ada.url}/deliveries/${String(letter?.['eventId'])}/replay`
    expect((await stranger.send('POST', path)).slug).toBe('not-found')
    const racing = await Promise.all([ada.send('POST', path), ada.send('POST', path)])
    expect(racing.some(({ status }) => status === 202)).toBe(true)
    const again = await ada.hears('room.created', WEBHOOK_ATTEMPTS_MAX + 1)
    expect(again.headers['webhook-id']).toBe(letter?.['eventId'])
    await until(async () => (await deliveries(ada))[0]?.['state'] === 'delivered')
    expect(await dead()).toEqual([])
    expect((await ada.send('POST', `${ada.url}/deliveries/evt_${'0'.repeat(26)}/replay`)).slug).toBe('not-found')
  }, 60_000)

  test('and says that it is gone is stopped at once, its owner told; started again it hears what comes then', async () => {
    const ada = await listener(['room.created'])
    receiver.answer(ada.path, 410)
    await ada.openRoom()
    await until(async () => (await show(ada))['disabledFor'] === 'gone')
    const told = await until(async () =>
      ((await ada.send('GET', '/v1/inbox')).body['items'] as { content: object }[]).find(({ content }) => 'webhookId' in content),
    )
    expect(told.content).toEqual({ kind: 'webhook-stopped', webhookId: ada.id, orgId: null, reason: 'gone' })
    await ada.openRoom()
    receiver.answer(ada.path, 204)
    await ada.send('PATCH', ada.url, { enabled: true })
    const heard = await ada.openRoom()
    expect((await ada.hears('room.created', 2)).body.data['roomId']).toBe(heard)
    expect(ada.mine()).toHaveLength(2)
  })

  test('for days is stopped when an event is given up', async () => {
    const ada = await listener(['room.created'])
    receiver.answer(ada.path, 500)
    await ada.openRoom()
    await until(async () => (await attemptsOf(ada.id)) === 1)
    const days = Date.now() - 4 * 86_400_000
    await edge.db.prepare('UPDATE webhooks SET failing_since = ? WHERE id = ?').bind(days, ada.id).run()
    await edge.db
      .prepare('UPDATE webhook_deliveries SET attempts = ? WHERE webhook_id = ?')
      .bind(WEBHOOK_ATTEMPTS_MAX - 1, ada.id)
      .run()
    await retry(ada.id, WEBHOOK_ATTEMPTS_MAX - 1)
    await until(async () => (await show(ada))['disabledFor'] === 'failures')
  })

  test('does not keep another from being told, however long it is silent', async () => {
    const [slow, quick] = [await listener(['room.created']), await listener(['room.created'])]
    receiver.answer(slow.path, 'silence')
    await slow.openRoom()
    await until(async () => slow.mine()[0])
    await quick.openRoom()
    await quick.hears('room.created')
    await until(async () => (await deliveries(slow))[0]?.['failure'] === 'timeout')
  })
})

describe('nobody is sent inward', () => {
  test.each([
    'http://app.example.org/x',
    'https://10.0.0.1/x',
    'https://192.168.1.1/x',
    'https://169.254.169.254/latest/meta-data',
    'https://100.64.0.1/',
    'https://0x0a.1/',
    'https://167772161/',
    'https://[fd00::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[64:ff9b::a00:1]/',
    'https://metadata/',
    'https://metadata.google.internal/',
    'https://printer.local./',
    'https://parvis.test/v1/me',
    'https://app.parvis-receiver.com:8443/x',
    'https://user:pass@app.parvis-receiver.com/x',
    'file:///etc/passwd',
  ])('to %s: it is refused when it is set', async (url) => {
    expect((await stranger.send('POST', '/v1/webhooks', { url, kinds: ['room.created'] })).slug).toBe('invalid-request')
  })

  test('by a name that leads inward, or begins to: it is looked up at every attempt', async () => {
    const ada = await meet(edge, 'ada')
    const names = { 'inward.parvis-receiver.com': ['10.1.2.3'], 'mixed.parvis-receiver.com': ['203.0.114.7', 'fd00::7'] }
    for (const [name, addresses] of Object.entries(names)) dns.records.set(name, addresses)
    const hooks = await Promise.all(
      [...Object.keys(names), 'nowhere.parvis-receiver.com'].map((name) =>
        ada.send('POST', '/v1/webhooks', { url: `https://${name}/x`, kinds: ['room.created'] }),
      ),
    )
    await ada.openRoom()
    for (const { body } of hooks) {
      const { id } = body['webhook'] as { id: string }
      const items = async () => (await ada.send('GET', `/v1/webhooks/${id}/deliveries`)).body['items'] as { failure: string }[]
      await until(async () => (await items())[0]?.failure === 'target-forbidden')
    }
  })
})

test('what was told of a user goes with them, and so do their webhooks', async () => {
  const ada = await listener()
  const roomId: RoomId = await ada.openRoom()
  await ada.seat(roomId, bob, 'viewer')
  await ada.hears('room.member.added')
  await edge.db.prepare('UPDATE webhook_events SET created_at = 1 WHERE actor_id = ?').bind(ada.userId).run()
  expect((await ada.send('DELETE', '/v1/me')).status).toBeLessThan(300)
  await until(async () => {
    const { results } = await edge.db
      .prepare('SELECT id FROM webhooks WHERE user_id = ?1 UNION ALL SELECT id FROM webhook_events WHERE actor_id = ?1')
      .bind(ada.userId)
      .all()
    return results.length === 0
  })
})
