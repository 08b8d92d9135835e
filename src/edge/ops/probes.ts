import { sql } from 'drizzle-orm'
import type { Probe } from '../http/feature.ts'
import { chooseTransport } from '../platform/mail/mail.ts'
import { deadCount, pendingSummary } from '../platform/outbox/store.ts'

/** An effect that has waited this long means that the queue and the sweep are not keeping up. */
const OUTBOX_AGE_MS_MAX = 300_000

/** The system of record answers. */
export const d1Probe: Probe = {
  isHard: true,
  check: async ({ db }) => {
    await db.run(sql`SELECT 1`)
    return { ok: true }
  },
}

/** A Durable Object answers. */
export const objectsProbe: Probe = {
  isHard: true,
  check: async ({ env }) => ({ ok: await env.ROOMS.getByName('health').ping() }),
}

/** Mail can be handed over. */
export const mailProbe: Probe = {
  isHard: false,
  check: async ({ config, env }) => {
    const transport = chooseTransport(config.mail, env)
    await transport.probe()
    return { ok: true, detail: transport.name }
  },
}

/** Nothing accepted waits too long, and nothing was given up. */
export const outboxProbe: Probe = {
  isHard: false,
  check: async ({ db, now }) => {
    const [[waiting], [given]] = await db.batch([pendingSummary(db), deadCount(db)])
    const ageMs = waiting?.oldest ? now() - waiting.oldest : 0
    const dead = given?.dead ?? 0
    return {
      ok: ageMs < OUTBOX_AGE_MS_MAX && dead === 0,
      detail: `${waiting?.pending ?? 0} waiting, oldest ${Math.round(ageMs / 1000)} s, ${dead} dead`,
    }
  },
}
