import { type SQL, sql } from 'drizzle-orm'
import type { BatchItem } from 'drizzle-orm/batch'
import { toMoment } from '../../contract/id.ts'
import type { AuthMethod, FactorRequired, LoginAnswer, PendingId, SessionId, TokenMode } from '../../contract/identity.ts'
import { type FactorMethod, PENDING_TTL_SECONDS } from '../../contract/proof.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import type { Place } from '../platform/limiter/place.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { notifyIf } from '../platform/notify.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { accountCharge, placeHash } from './attempt.ts'
import type { Device } from './device.ts'
import { factorMethodsOf } from './factor-policy.ts'
import { enrolmentOf, hasSecondFactor } from './factor-store.ts'
import { type DeviceMark, markDevice, type ShownDevice } from './known-device.ts'
import { forgetExcessDevices, isMailDue, knownDevice, noteDevice } from './known-device-store.ts'
import { insertPending } from './pending-store.ts'
import { noteSignIn, resetFailures } from './place-store.ts'
import { sessionEndIfChanged } from './session-end.ts'
import { endExcessSessions, insertSession, isFurther, type NewSession } from './session-store.ts'
import type { users } from './tables.ts'
import { tokensFor } from './tokens.ts'
import { trustHash } from './trust.ts'
import { isTrusted, useTrust } from './trust-store.ts'

type User = typeof users.$inferSelect

/** What the caller has just read, so that a batch is spared what it would find nothing to do for. */
export interface Seen {
  /** The hash by which the user knows the device. */
  readonly knownHash: string | null
  /** Failures to sign in are counted against the account. */
  readonly hasFailures: boolean
}

/** How a user whose first factor is proven comes in. */
export interface SignIn {
  /** What is proven; with `mfa` among it no second factor is asked for. */
  readonly methods: readonly AuthMethod[]
  readonly mode: TokenMode
  readonly place: Place
  readonly device: Device
  readonly deviceName: string | undefined
  /** What stands for a second factor on a trusted device. */
  readonly trustToken?: string | undefined
  /** What tells the device from others. */
  readonly shown: ShownDevice
  /** What is committed with the session, or with the wait for a second factor. */
  readonly along?: readonly BatchItem<'sqlite'>[]
  readonly seen?: Seen | undefined
}

/**
 * The one end of every first factor: starts a session for a user as they were when it was checked, or waits for a second factor
 * where one is enrolled. The statement that starts the session looks for one, so none can be enrolled in between.
 * Nothing when the password was replaced or the account disabled meanwhile: the caller refuses in its own words.
 */
export async function signIn(scope: Scope, user: User, how: SignIn): Promise<LoginAnswer | undefined> {
  const { db } = scope
  const { methods, along = [], trustToken, shown, seen, ...as } = how
  const session = newSession(scope, user, { ...as, amr: methods.join(' ') })
  const place = await placeHash(scope, how.place)
  const trust = trustToken === undefined ? undefined : await trustHash(trustToken)
  const isExempt = trust === undefined ? sql`false` : isTrusted(user.id, trust, session.createdAt)
  const isWhole = methods.includes('mfa')
  const mark = await markOf(scope, session, { shown, seen })
  const isStarted = await startSession(scope, user, {
    session,
    place,
    mark,
    condition: isWhole ? sql`true` : sql`(NOT ${hasSecondFactor(user.id)} OR ${isExempt})`,
    along: [...along, ...(trust === undefined ? [] : [useTrust(db, session, trust)])],
    seen,
  })
  if (isStarted) return { ...(await tokensFor(scope, session)), deviceToken: mark.deviceToken }
  const [enrolment] = isWhole ? [] : await enrolmentOf(db, user.id)
  const asked = enrolment ? factorMethodsOf(enrolment) : []
  return asked.length === 0 ? undefined : awaitFactor(scope, user, { session, place, methods: asked })
}

/** How the device of a new session is known from here on. */
export async function markOf(
  { db }: Scope,
  { userId, createdAt: now }: NewSession,
  { shown, seen }: { readonly shown: ShownDevice; readonly seen?: Seen | undefined },
): Promise<DeviceMark> {
  const [known] = seen || shown.hashes.length === 0 ? [] : await knownDevice(db, userId, { hashes: shown.hashes, now })
  return markDevice(shown, seen?.knownHash ?? known?.hash)
}

/** A session of a user as it is about to start. */
export function newSession(
  scope: Scope,
  user: Pick<User, 'id'>,
  { device, mode, deviceName, amr }: Pick<SignIn, 'device' | 'mode' | 'deviceName'> & { readonly amr: string },
): NewSession {
  const now = scope.now()
  return {
    ...device,
    id: scope.newId('ses') as SessionId,
    userId: user.id,
    mode,
    name: deviceName ?? null,
    counter: 0,
    createdAt: now,
    refreshedAt: now,
    idleExpiresAt: now + scope.config.sessionIdleSeconds * 1000,
    expiresAt: now + scope.config.sessionMaxSeconds * 1000,
    amr,
    authenticatedAt: now,
  }
}

interface Start {
  readonly session: NewSession
  /** Keyed hash of where the user stands; null when nobody knows. */
  readonly place: string | null
  readonly mark: DeviceMark
  readonly condition: SQL
  readonly along: readonly BatchItem<'sqlite'>[]
  readonly seen?: Seen | undefined
}

/** Statements of a batch, and what is to be done with their results. */
interface Step {
  readonly statements: readonly BatchItem<'sqlite'>[]
  readonly done: (results: readonly unknown[]) => void
}

/** Puts the session in where the condition holds, learns its place, tells its owner of a new device, and ends what is one too many. */
export async function startSession(
  scope: Scope,
  user: Pick<User, 'id' | 'email' | 'locale' | 'passwordVersion'>,
  { session, place, mark, condition, along, seen }: Start,
): Promise<boolean> {
  const { db, config } = scope
  const { id } = session
  const notice = mark.isKnown ? undefined : await tellOwner(scope, user, session)
  const [[started], , ...results] = await db.batch([
    insertSession(db, session, { passwordVersion: user.passwordVersion, condition }),
    auditIfChanged(scope, { action: 'session.start', subject: id, actorId: user.id }),
    ...(notice?.statements ?? []),
    noteDevice(db, session, mark.hash),
    ...(mark.isKnown ? [] : [forgetExcessDevices(db, user.id)]),
    ...(seen?.hasFailures === false ? [] : [resetFailures(db, (await accountCharge(scope, user.email)).key, id)]),
    ...(place === null ? [] : [noteSignIn(db, id, place)]),
    ...along,
  ])
  notice?.done(results)
  if (started && started.others >= config.sessionsPerUserMax) await makeRoom(scope, session)
  return started !== undefined
}

/** Ends the sessions over the limit. */
async function makeRoom(scope: Scope, session: NewSession): Promise<void> {
  const { db, config } = scope
  const { userId, createdAt: now } = session
  const end = await sessionEndIfChanged(scope, { userId, now })
  const [ended] = await db.batch([
    endExcessSessions(db, session, { now, max: config.sessionsPerUserMax }),
    auditIfChanged(scope, { action: 'session.end-others', subject: userId, cause: 'limit', actorId: userId }),
    end.statement,
  ])
  end.tell(ended)
}

/** A mail and a notification about the device, unless the session is their user's first. */
async function tellOwner(scope: Scope, user: Pick<User, 'id' | 'email' | 'locale'>, session: NewSession): Promise<Step> {
  const { id, createdAt: at, browser, system, country, city } = session
  const condition = isFurther(session)
  const mail = await mailEventIf(
    scope,
    { to: user.email, locale: user.locale, kind: 'new-device', event: { at, browser, system, country, city } },
    sql`${condition} AND ${isMailDue(user.id, at)}`,
  )
  const content = { kind: 'new-device', sessionId: id, browser, system, country } as const
  const told = await notifyIf(scope, { userId: user.id }, { content, condition })
  return {
    statements: [mail.statement, told.statement],
    done([mailed, noted]) {
      if ((noted as D1Result).meta.changes > 0) scope.deliver((mailed as D1Result).meta.changes > 0 ? [told.id, mail.id] : [told.id])
    },
  }
}

interface Wait {
  readonly session: NewSession
  readonly place: string | null
  readonly methods: FactorMethod[]
}

/** Remembers what is proven so far. No session exists and no token is made. */
async function awaitFactor(scope: Scope, user: User, { session, place, methods }: Wait): Promise<FactorRequired> {
  const { amr, mode, name, browser, system, country, city, createdAt } = session
  const id = scope.newId('pnd') as PendingId
  const expiresAt = createdAt + PENDING_TTL_SECONDS * 1000
  const row = { id, userId: user.id, passwordVersion: user.passwordVersion, amr, mode, place, name, browser, system, country, city }
  await commit(scope, [
    insertPending(scope.db, { ...row, createdAt, expiresAt }),
    auditEntry(scope, { action: 'session.await-factor', subject: user.id, actorId: 'anonymous' }),
  ])
  return { factorRequired: { pendingId: id, methods, expiresAt: toMoment(expiresAt) } }
}
