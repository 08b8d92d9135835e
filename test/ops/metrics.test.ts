import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { metricsText } from '../../src/edge/ops/metrics.ts'
import { ConfigError, parseConfig } from '../../src/edge/platform/config.ts'
import { exposition, METRICS, sample } from '../../src/edge/platform/metrics.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { type Edge, startEdge } from '../harness.ts'
import { accountsOf } from '../identity/account.ts'

const TOKEN = randomBytes(32).toString('base64url')

describe('over the Worker', () => {
  let edge: Edge
  beforeAll(async () => {
    edge = await startEdge({ vars: { METRICS_TOKEN: TOKEN, MAIL_QUOTAS: 'smtp=10' } })
  })
  afterAll(() => edge.stop())

  const read = (headers: Record<string, string>) => edge.request('/metrics', { headers })
  const values = async () =>
    Object.fromEntries(
      (await (await read({ authorization: `Bearer ${TOKEN}` })).text())
        .split('\n')
        .filter((line) => line && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
    )

  test('opens to the token of the configuration and to nothing else', async () => {
    const answer = await read({ authorization: `Bearer ${TOKEN}` })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const { client } = await edge.signUp('curious')
    const wrong = ['', TOKEN, `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, `Bearer ${await client.accessToken()}`]
    for (const authorization of wrong) expect((await read({ authorization })).status).toBe(401)
    expect((await edge.request(`/metrics?token=${TOKEN}`)).status).toBe(401)
  })

  test('tells what each way has carried of its quota, what failed and what waits', async () => {
    const { settle } = accountsOf(() => edge)
    await settle()
    const before = await values()
    await edge.signUp('mailed')
    await settle()
    const after = await values()
    const sent = 'parvis_mail_sent_today{way="smtp"}'
    expect((after[sent] ?? 0) - (before[sent] ?? 0)).toBe(1)
    expect(after['parvis_mail_quota_today{way="smtp"}']).toBe(10)
    expect(after['parvis_mail_quota_used_ratio{way="smtp"}']).toBeCloseTo((after[sent] ?? 0) / 10)
    expect(after).toMatchObject({ parvis_mail_queued: 0, parvis_outbox_waiting: 0, parvis_outbox_dead: 0 })
    await edge.db
      .prepare(
        "INSERT INTO outbox_events (id, topic, payload, traceparent, created_at, attempts, next_attempt_at) VALUES ('evt_x', 'mail.send', 'x', '', 1, 0, 9e15)",
      )
      .run()
    await edge.db.prepare('UPDATE mail_days SET failed = 3').run()
    const waiting = await values()
    expect(waiting).toMatchObject({ parvis_mail_queued: 1, parvis_outbox_waiting: 1, 'parvis_mail_failed_today{way="smtp"}': 3 })
    expect(waiting['parvis_outbox_oldest_seconds']).toBeGreaterThan(1_000_000)
    expect(waiting['parvis_metrics_source_up{source="mail"}']).toBe(1)
  })

  test('tells of a room as soon as somebody is in it, and what it stores until it is deleted', async () => {
    const { client } = await edge.signUp('host')
    const { id: roomId } = await client.createRoom({ body: { name: 'room' } })
    expect(await values()).toMatchObject({ parvis_rooms_active: 0, parvis_room_stored_bytes: 0 })
    const room = await client.rooms.join(roomId)
    await room.whenSynced()
    await expect
      .poll(values)
      .toMatchObject({ parvis_rooms_active: 1, 'parvis_room_sockets{framing="live"}': 1, 'parvis_room_joins_today{framing="live"}': 1 })
    expect((await values())['parvis_room_stored_bytes']).toBeGreaterThan(0)
    await client.deleteRoom({ params: { roomId } })
    expect(await values()).toMatchObject({ parvis_rooms_active: 0, parvis_room_stored_bytes: 0 })
    client.close()
  })
})

test('a part that fails is told as down, without a word of how, and hides no other', async () => {
  const logged: unknown[] = []
  const scope = { log: (event: string) => logged.push(event) } as unknown as Scope
  const text = await metricsText(scope, {
    broken: () => Promise.reject(new Error('secret-host:1433 refused')),
    well: async () => [sample('parvis_outbox_dead', 2, {})],
  })
  expect(text).toContain('parvis_metrics_source_up{source="broken"} 0\n')
  expect(text).toContain('parvis_outbox_dead 2\n')
  expect(text).not.toContain('secret-host')
  expect(logged).toEqual(['metrics.failed'])
})

test('the text is as Prometheus has it, whatever a label holds', () => {
  expect(exposition([sample('parvis_mail_sent_today', 2, { way: 'a"b\\c\nd' })])).toBe(
    '# HELP parvis_mail_sent_today Mails that a way has carried since midnight UTC.\n# TYPE parvis_mail_sent_today gauge\nparvis_mail_sent_today{way="a\\"b\\\\c\\nd"} 2\n',
  )
  for (const name of Object.keys(METRICS)) expect(name).toMatch(/^parvis_[a-z_]+$/)
})

test('a token that is short or that somebody typed is refused, by its name', () => {
  const settings = { ENVIRONMENT: 'production', PUBLIC_ORIGIN: 'https://parvis.example.org', MAIL_FROM: 'a@parvis.example.org' }
  const parse = (METRICS_TOKEN: string) =>
    parseConfig({ ...settings, MAIL_TRANSPORT: 'cloudflare', SECRET_KEYS: `1:${TOKEN}`, METRICS_TOKEN })
  for (const weak of ['short', 'x'.repeat(40), `${TOKEN} ${TOKEN}`]) {
    expect(() => parse(weak)).toThrow(ConfigError)
    expect(() => parse(weak)).toThrow(/METRICS_TOKEN/)
  }
  expect(parse(TOKEN).metricsToken).toBe(TOKEN)
  expect(parse('').metricsToken).toBeUndefined()
})
