import { sql } from 'drizzle-orm'
import type { Probe } from '../http/feature.ts'
import { mailStandings, type WayStanding } from '../platform/mail/delivery.ts'
import { chooseTransport } from '../platform/mail/mail.ts'
import { deadCount, pendingSummary } from '../platform/outbox/store.ts'
import type { Scope } from '../platform/scope.ts'

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

/** One way at least can take mail now; the detail tells how much each has carried and what it may. */
export const mailProbe: Probe = {
  isHard: false,
  check: async (scope) => {
    const standings = await mailStandings(scope)
    const ways = await Promise.all(standings.map((standing) => lookAt(scope, standing)))
    return { ok: ways.some(({ isUsable }) => isUsable), detail: ways.map(({ words }) => words).join('; ') }
  },
}

async function lookAt({ config, env }: Scope, { way, sent, failed, isResting }: WayStanding) {
  const isFull = way.dailyMax !== undefined && sent >= way.dailyMax
  const isReached = await chooseTransport({ ...config.mail, transport: way.settings }, env)
    .probe()
    .then(
      () => true,
      () => false,
    )
  const carried = way.dailyMax === undefined ? `${sent}` : `${sent} of ${way.dailyMax}`
  const flaws = [isFull && 'full', isResting && 'resting', !isReached && 'not reached'].filter(Boolean).map((flaw) => `, ${flaw}`)
  return { isUsable: isReached && !isFull, words: `${way.name}: ${carried} today, ${failed} failed${flaws.join('')}` }
}

/** Nothing accepted waits too long, and nothing was given up. */
export const outboxProbe: Probe = {
  isHard: false,
  check: async ({ db, now }) => {
    const [[waiting], [given]] = await db.batch([pendingSummary(db), deadCount(db)])
    const ageMs = waiting?.oldest ? Math.max(0, now() - waiting.oldest) : 0
    const dead = given?.dead ?? 0
    return {
      ok: ageMs < OUTBOX_AGE_MS_MAX && dead === 0,
      detail: `${waiting?.pending ?? 0} waiting, oldest ${Math.round(ageMs / 1000)} s, ${dead} dead`,
    }
  },
}
