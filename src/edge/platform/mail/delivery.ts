import type { Scope } from '../scope.ts'
import { chooseTransport } from './mail.ts'
import type { MailWay } from './settings.ts'
import { daysOf, deleteDays, noteFailure, noteRecovery, takeSlot } from './store.ts'
import { MailError, type Message } from './transport.ts'

const DAY_MS = 86_400_000
const KEEP_DAYS = 90
/** A way that failed is left alone for a while, twice as long each time, so that mail does not wait for it again and again. */
const REST_MS_MIN = 30_000
const REST_MS_MAX = 900_000
/** No further way is tried after this long: with the last one's own time it stays below the lease of an outbox event. */
const TRYING_MS_MAX = 25_000

const dayOf = (now: number): number => Math.floor(now / DAY_MS)
const restMs = (failedInRow: number): number => Math.min(REST_MS_MAX, REST_MS_MIN * 2 ** Math.min(failedInRow, 10))

/**
 * Refused for what the mail or its recipient is: another way, or another day, would not change that. A refused login or sender is our
 * set-up's fault: such mail waits until that is mended.
 */
export const isHopeless = (error: MailError): boolean =>
  error.kind === 'refused' && (error.reason === 'recipient' || error.reason === 'content')

/**
 * Hands a mail to the first way that takes it. A way whose day is full is passed over; one that fails rests, and is tried again early
 * only when every other has been passed over or has failed too.
 *
 * @throws MailError of the last way; `refused` for a recipient or a content that none would take
 */
export async function deliverMail(scope: Scope, message: Message): Promise<{ readonly way: string }> {
  const startedAt = scope.now()
  const { ways } = scope.config.mail
  const untried = new Set(ways)
  let last = new MailError('retry', 'quota', 'no way has anything left today')
  for (const isUrgent of [false, true]) {
    for (const way of untried) {
      if (scope.now() - startedAt > TRYING_MS_MAX) throw last
      const outcome = await tryWay(scope, message, { way, isUrgent })
      if (outcome === 'passed') continue
      untried.delete(way)
      if (outcome === 'sent') return { way: way.name }
      if (isHopeless(outcome)) throw outcome
      last = outcome
    }
  }
  throw last
}

async function tryWay(
  scope: Scope,
  message: Message,
  { way, isUrgent }: { readonly way: MailWay; readonly isUrgent: boolean },
): Promise<'sent' | 'passed' | MailError> {
  const { db, config, env } = scope
  const now = scope.now()
  const at = { way: way.name, day: dayOf(now) }
  const [slot] = await takeSlot(db, at, { max: way.dailyMax ?? Number.MAX_SAFE_INTEGER, now: isUrgent ? Number.MAX_SAFE_INTEGER : now })
  if (!slot) return 'passed'
  try {
    await chooseTransport({ ...config.mail, transport: way.settings }, env).send(message)
  } catch (error) {
    if (!(error instanceof MailError)) throw error
    await noteFailure(db, at, {
      isBack: !error.mayHaveLeft,
      // What is wrong with one mail says nothing about the way.
      restsUntil: isHopeless(error) ? 0 : scope.now() + restMs(slot.failedInRow),
    })
    scope.log('mail.failed', { eventId: message.idempotencyKey, way: way.name, reason: error.reason, message: error.message })
    return error
  }
  if (slot.failedInRow > 0) await noteRecovery(db, at)
  return 'sent'
}

/** How a way stands today. */
export interface WayStanding {
  readonly way: MailWay
  readonly sent: number
  readonly failed: number
  readonly isResting: boolean
}

/** How every configured way stands today, in order. */
export async function mailStandings({ db, config, now }: Scope): Promise<readonly WayStanding[]> {
  const rows = await daysOf(db, dayOf(now()))
  return config.mail.ways.map((way) => {
    const row = rows.find((r) => r.way === way.name)
    return { way, sent: row?.sent ?? 0, failed: row?.failed ?? 0, isResting: (row?.restsUntil ?? 0) > now() }
  })
}

/** Forgets the counts of a season ago. */
export async function sweepMailDays({ db, now }: Scope): Promise<number> {
  return (await deleteDays(db, dayOf(now()) - KEEP_DAYS)).meta.changes
}
