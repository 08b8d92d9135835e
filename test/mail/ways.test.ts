import { describe, expect, onTestFinished, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { post } from '../identity/raw.ts'
import { type MailboxOptions, startMailbox } from '../mailbox.ts'
import { until } from '../until.ts'

/** A Worker with two ways out, both real servers; the first is the harness's own. */
async function startTwoWays({
  vars = {},
  mail = {},
  second = {},
}: {
  vars?: Record<string, string>
  mail?: MailboxOptions
  second?: MailboxOptions
} = {}) {
  const other = await startMailbox(second)
  const account = { SMTP2_HOST: '127.0.0.1', SMTP2_PORT: String(other.port), SMTP2_TLS: 'none' }
  const edge = await startEdge({ mail, vars: { MAIL_TRANSPORT: 'smtp,smtp2', ...account, ...vars } })
  let isFirstUp = true
  onTestFinished(async () => {
    if (isFirstUp) await edge.stop()
    else await edge.server.close()
    await other.stop()
  })
  const stopFirst = async () => {
    isFirstUp = false
    await edge.mailbox.stop()
  }
  return { edge, other, stopFirst }
}

let asked = 0
async function ask(edge: Edge): Promise<string> {
  const email = `ways-${++asked}@example.net`
  expect((await post(edge, '/v1/auth/register', { email, password: PASSWORD })).status).toBe(202)
  return email
}
const days = async (edge: Edge) => {
  const { results } = await edge.db.prepare('SELECT way, sent, failed, failed_in_row, rests_until FROM mail_days ORDER BY way').all()
  return Object.fromEntries(results.map(({ way, ...rest }) => [way, rest]))
}
const settle = (edge: Edge) =>
  until(
    async () => (await edge.db.prepare('SELECT count(*) AS n FROM outbox_events WHERE done_at IS NULL').first<{ n: number }>())?.n === 0,
  )
const health = async (edge: Edge) =>
  ((await (await edge.request('/health/ready')).json()) as { dependencies: Record<string, { ok: boolean; detail: string }> }).dependencies[
    'mail'
  ]
const makeDue = (edge: Edge) => edge.db.prepare('UPDATE outbox_events SET next_attempt_at = 0').run()
const cron = (edge: Edge) => edge.worker.scheduled({ cron: '* * * * *' })

describe('two ways out for mail', () => {
  test('the first carries all while it is well', async () => {
    const { edge, other } = await startTwoWays()
    await edge.mailbox.mailTo(await ask(edge))
    await settle(edge)
    expect(other.mails).toEqual([])
    expect(await days(edge)).toEqual({ smtp: { sent: 1, failed: 0, failed_in_row: 0, rests_until: 0 } })
    expect(await health(edge)).toMatchObject({ ok: true, detail: 'smtp: 1 today, 0 failed; smtp2: 0 today, 0 failed' })
  })

  test('the second takes over at once when the first is down, which is then left alone and shows in health', async () => {
    const { edge, other, stopFirst } = await startTwoWays()
    await stopFirst()
    await other.mailTo(await ask(edge))
    await other.mailTo(await ask(edge))
    await settle(edge)
    expect(await days(edge)).toEqual({
      smtp: { sent: 0, failed: 1, failed_in_row: 1, rests_until: expect.any(Number) },
      smtp2: { sent: 2, failed: 0, failed_in_row: 0, rests_until: 0 },
    })
    expect(await health(edge)).toMatchObject({
      ok: true,
      detail: 'smtp: 0 today, 1 failed, resting, not reached; smtp2: 2 today, 0 failed',
    })
    expect(edge.logs().some(({ event, way, reason }) => event === 'mail.failed' && way === 'smtp' && reason === 'connection')).toBe(true)
    const back = await startMailbox({ port: edge.mailbox.port })
    onTestFinished(() => back.stop())
    await edge.db.prepare('UPDATE mail_days SET rests_until = 0').run()
    await back.mailTo(await ask(edge))
    await settle(edge)
    expect((await days(edge))['smtp']).toEqual({ sent: 1, failed: 1, failed_in_row: 0, rests_until: 0 })
  })

  test('a way carries what it may a day, exactly, however many mails race; the next takes the rest', async () => {
    const { edge, other } = await startTwoWays({ vars: { MAIL_QUOTAS: 'smtp=3' } })
    await Promise.all(Array.from({ length: 10 }, () => ask(edge)))
    await until(async () => edge.mailbox.mails.length + other.mails.length === 10)
    await settle(edge)
    expect(edge.mailbox.mails).toHaveLength(3)
    expect(other.mails).toHaveLength(7)
    expect((await health(edge))?.detail).toContain('smtp: 3 of 3 today, 0 failed, full')
  })

  test('mail waits, and is not lost, when every way is full; the next day carries it', async () => {
    const { edge, other } = await startTwoWays({ vars: { MAIL_QUOTAS: 'smtp=1 smtp2=1' } })
    for (let n = 0; n < 2; n++) await ask(edge)
    await settle(edge)
    const late = await ask(edge)
    const waiting = await until(
      async () =>
        (await edge.db.prepare('SELECT last_error, dead_at FROM outbox_events WHERE last_error IS NOT NULL').first()) ?? undefined,
    )
    expect(waiting).toEqual({ last_error: 'MailError: no way has anything left today', dead_at: null })
    expect(await health(edge)).toMatchObject({ ok: false })
    expect(edge.mailbox.mails.length + other.mails.length).toBe(2)
    await edge.db.prepare('UPDATE mail_days SET day = day - 1').run()
    await makeDue(edge)
    await cron(edge)
    await edge.mailbox.mailTo(late)
  })

  test('ways that rest are tried all the same when no other is left', async () => {
    const { edge } = await startTwoWays()
    await ask(edge)
    await settle(edge)
    await edge.db.prepare('INSERT INTO mail_days (way, day, sent) SELECT ?, day, 0 FROM mail_days').bind('smtp2').run()
    await edge.db
      .prepare('UPDATE mail_days SET rests_until = ?, failed_in_row = 3')
      .bind(Date.now() + 600_000)
      .run()
    await edge.mailbox.mailTo(await ask(edge))
  })

  test('a recipient that the first refuses is not tried at the second', async () => {
    const { edge, other } = await startTwoWays()
    await post(edge, '/v1/auth/register', { email: 'refused-ways@example.net', password: PASSWORD })
    await until(async () => edge.db.prepare('SELECT dead_at FROM outbox_events WHERE dead_at IS NOT NULL').first())
    expect(other.mails).toEqual([])
    expect(await days(edge)).toEqual({ smtp: { sent: 0, failed: 1, failed_in_row: 1, rests_until: 0 } })
  })

  test('a server that takes the mail and dies before its answer costs one copy, with the same code and message id', async () => {
    const { edge, other } = await startTwoWays({
      mail: {
        beforeAccept: async (_mail, cut) => cut(),
      },
    })
    const email = await ask(edge)
    const [first, copy] = [await edge.mailbox.mailTo(email), await other.mailTo(email)]
    await settle(edge)
    expect(copy.messageId).toBe(first.messageId)
    expect(copy.text).toBe(first.text)
    expect(edge.mailbox.to(email).length + other.to(email).length).toBe(2)
    expect((await days(edge))['smtp']).toMatchObject({ sent: 1, failed: 1 })
  })
})
