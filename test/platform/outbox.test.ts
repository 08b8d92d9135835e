import { expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { post } from '../identity/raw.ts'
import { startMailbox } from '../mailbox.ts'
import { until } from '../until.ts'
import { workerdPids } from '../workerd.ts'

const ask = (edge: Edge, email: string) => post(edge, '/v1/auth/register', { email, password: PASSWORD })
const events = async (edge: Edge) => (await edge.db.prepare('SELECT * FROM outbox_events').all()).results
const makeDue = (edge: Edge) => edge.db.prepare('UPDATE outbox_events SET next_attempt_at = 0').run()
const cron = (edge: Edge) => edge.worker.scheduled({ cron: '* * * * *' })

test('while mail is down registrations are accepted, and each mail arrives once it is back', async () => {
  const edge = await startEdge()
  try {
    await edge.mailbox.stop()
    expect((await ask(edge, 'patient@example.net')).status).toBe(202)
    const [failed] = await until(async () => ((await events(edge))[0]?.['last_error'] ? events(edge) : undefined))
    expect(failed).toMatchObject({ topic: 'mail.send', attempts: 1, done_at: null, dead_at: null })
    const back = await startMailbox({ port: edge.mailbox.port })
    await makeDue(edge)
    await cron(edge)
    expect(await back.codeTo('patient@example.net')).toMatch(/^\d{6}$/)
    expect(await events(edge)).toEqual([expect.objectContaining({ payload: null, last_error: null, done_at: expect.any(Number) })])
    await back.stop()
  } finally {
    await edge.server.close()
  }
})

test('the queue finishes what the request could not, without waiting for the sweep', async () => {
  const edge = await startEdge()
  try {
    await edge.mailbox.stop()
    await ask(edge, 'queued@example.net')
    await until(async () => (await events(edge))[0]?.['last_error'] ?? undefined)
    const back = await startMailbox({ port: edge.mailbox.port })
    expect(await back.codeTo('queued@example.net')).toMatch(/^\d{6}$/)
    await back.stop()
  } finally {
    await edge.server.close()
  }
})

test('a mail that is refused for good is kept as dead and shows in health', async () => {
  const edge = await startEdge()
  try {
    await ask(edge, 'refused@example.net')
    await until(async () => (await events(edge))[0]?.['dead_at'] ?? undefined)
    const ready = (await (await edge.request('/health/ready')).json()) as {
      status: string
      dependencies: Record<string, { ok: boolean; detail: string }>
    }
    expect(ready.status).toBe('degraded')
    expect(ready.dependencies['outbox']).toMatchObject({ ok: false, detail: expect.stringContaining('1 dead') })
    await makeDue(edge)
    await cron(edge)
    expect((await events(edge))[0]).toMatchObject({ attempts: 1 })
  } finally {
    await edge.stop()
  }
})

test('a Worker killed while a mail is on its way sends at most one copy, with the same code and message id', async () => {
  let kill: (() => void) | undefined
  const killed = new Promise<void>((resolve) => {
    kill = resolve
  })
  let isFirst = true
  const edge = await startEdge({
    mail: {
      beforeAccept: async () => {
        if (!isFirst) return
        isFirst = false
        process.kill(workerdPids().at(-1)!, 'SIGKILL')
        kill?.()
      },
    },
  })
  try {
    await Promise.all([ask(edge, 'crash@example.net').catch(() => undefined), killed])
    await until(async () => ((await edge.request('/health/live').catch(() => undefined))?.ok ? true : undefined))
    const after = { ...edge, db: await edge.reopenDb() }
    expect(await events(after)).toEqual([expect.objectContaining({ attempts: 1, done_at: null })])
    await makeDue(after)
    await cron(edge)
    const copy = await edge.mailbox.mailTo('crash@example.net', 2)
    const first = await edge.mailbox.mailTo('crash@example.net', 1)
    expect([copy.messageId, copy.text]).toEqual([first.messageId, first.text])
    expect(edge.mailbox.to('crash@example.net')).toHaveLength(2)
    await cron(edge)
    expect(edge.mailbox.to('crash@example.net')).toHaveLength(2)
  } finally {
    await edge.stop()
  }
})

test('twenty attempts at one event at once send one mail', async () => {
  const edge = await startEdge()
  try {
    await edge.mailbox.stop()
    await ask(edge, 'lease@example.net')
    await until(async () => (await events(edge))[0]?.['last_error'] ?? undefined)
    const back = await startMailbox({ port: edge.mailbox.port })
    await makeDue(edge)
    await Promise.all(Array.from({ length: 20 }, () => cron(edge)))
    expect(back.to('lease@example.net')).toHaveLength(1)
    await back.stop()
  } finally {
    await edge.server.close()
  }
})
