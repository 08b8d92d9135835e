import { type SQL, sql } from 'drizzle-orm'
import { toMoment } from '../../contract/id.ts'
import type { Locale, SessionInfo, UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import type { Authenticate } from '../http/session.ts'
import { openDb } from '../platform/db.ts'
import type { EverythingEnded, SessionIds, SessionsEnded } from '../platform/live-sockets.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { authenticate as authenticateToken } from './access-token.ts'
import { eraseAccess } from './admin-store.ts'
import { keysOf } from './api-key-store.ts'
import { accountCharge } from './attempt.ts'
import { closureOf as closure } from './closure.ts'
import { dropCookies } from './cookies.ts'
import { type EndedUsers, endNextUsers } from './everybody.ts'
import { codeCharge } from './factor-proof.ts'
import { eraseFactors, totpOf } from './factor-store.ts'
import { forgetDevicesIf, knownDevicesOf } from './known-device-store.ts'
import { erasePasskeys, passkeysOf } from './passkey-store.ts'
import { erasePendings } from './pending-store.ts'
import { erasePlaces, reopenPassword } from './place-store.ts'
import { mailedApp as appOf, drawToken, pageLink, tokenHash } from './proof.ts'
import { proofsOf } from './proof-store.ts'
import { isDispensable, roleRowsOf } from './role-store.ts'
import { everySessionEnd } from './session-end.ts'
import { type Acting, endedSince, isAccessLive, isActing, liveSession, sessionsOf } from './session-store.ts'
import { demandStepUp, standing } from './standing.ts'
import { eraseUser, userByEmail, userById } from './store.ts'
import { deleteTrustsIf, trustsOf } from './trust-store.ts'
import { eraseFactorWaysBack, factorWaysBackOf } from './way-back-store.ts'

/** Who an access token speaks for. @throws Problem `unauthenticated`, `session-ended` or `step-up-required` */
export const authenticate: Authenticate = (scope, token, demands) => authenticateToken(scope, token, demands)

/** Lets pass whoever has proven lately that it is them. @throws Problem `step-up-required`, which no API key can meet, or `session-ended` */
export async function requireFreshProof(scope: Scope, actor: Actor): Promise<void> {
  if (actor.scopes) throw new Problem('step-up-required', { detail: 'An API key cannot prove that it is its user.', methods: [] })
  demandStepUp(scope, await standing({ ...scope, db: openDb(scope.env.DB, undefined).db }, actor))
}

/** Whether a session may act, read at the primary: the isolate's memory and a replica may be behind. */
export async function isSessionLive(scope: Scope, { sessionId }: Pick<Actor, 'sessionId'>): Promise<boolean> {
  return (await liveSession(openDb(scope.env.DB, undefined).db, sessionId, scope.now())).length > 0
}

/** For whoever comes with a ticket: what they asked for it with may have ended since, a session or an API key. @throws Problem `session-ended` */
export async function demandLiveAccess(scope: Scope, { userId, sessionId }: Pick<Actor, 'userId' | 'sessionId'>): Promise<void> {
  const { db } = openDb(scope.env.DB, undefined)
  const [found] = await db.all<{ readonly isLive: number }>(
    sql`SELECT ${isAccessLive({ id: sessionId, userId, now: scope.now() })} AS isLive`,
  )
  if (found?.isLive !== 1) throw new Problem('session-ended')
}

/** The active user with this address. */
export async function userIdOfAddress(scope: Scope, email: string): Promise<UserId | undefined> {
  const [user] = await userByEmail(scope.db, email)
  return user?.disabledAt === null ? user.id : undefined
}

/** The sessions that an event speaks of, read at the primary: it may come before a replica has heard. */
export async function endedSessions(scope: Scope, ended: SessionsEnded): Promise<{ readonly userId: UserId; readonly ids: SessionIds }> {
  const { userId } = ended
  if ('isAll' in ended) return { userId, ids: 'all' }
  if ('ids' in ended) return { userId, ids: ended.ids }
  const rows = await endedSince(openDb(scope.env.DB, undefined).db, userId, ended.since)
  return { userId, ids: rows.map(({ id }) => id) }
}

/** Ends what some users more began until a moment, once it is over for everybody; asking again answers the same. */
export const endUsersAfter = (scope: Scope, from: EverythingEnded): Promise<EndedUsers> => endNextUsers(scope, from)

/** What the presented token says, without asking any storage. */
export const sessionInfo = ({ userId, sessionId, expiresAt }: Actor): SessionInfo => ({ userId, sessionId, expiresAt: toMoment(expiresAt) })

/** The end of an account, for the batch that decides it. @throws Problem `session-ended` when the account is gone */
export const closureOf = (scope: Scope, of: { readonly userId: UserId; readonly now: number }, condition: SQL) =>
  closure(scope, of, condition)

/** SQL for whether the session that acts is still alive. */
export const isActingSql = (acting: Acting): SQL => isActing(acting)

/** SQL for whether the platform has an admin who can act even without this user. */
export const isDispensableSql = (userId: UserId): SQL => isDispensable(userId)

/** SQL for whether a session or an API key of a user may still act. */
export const isAccessLiveSql = (of: Parameters<typeof isAccessLive>[0]): SQL => isAccessLive(of)

/** Takes the tokens from a browser that keeps them in cookies. */
export const forgetCookies = (headers: Headers): void => dropCookies(headers)

/** A link to be mailed, and the hash that is all to be stored of its token. */
export async function drawLink(page: `/${string}`, locale: Locale): Promise<{ readonly link: string; readonly tokenHash: string }> {
  const token = drawToken()
  return { link: pageLink(page, locale, token), tokenHash: await tokenHash(token) }
}

/** The app that a mailed link is to lead to, if it is not us. @throws Problem `invalid-request` for one that nobody has listed */
export const mailedApp = (scope: Scope, app: string | undefined): { readonly app?: string } => appOf(scope, app)

/** The hash under which {@link drawLink} has a token stored. */
export const linkTokenHash = (token: string): Promise<string> => tokenHash(token)

/** Everything identity keeps about a user. */
export async function exportIdentity(scope: Scope, userId: UserId): Promise<object> {
  const [user] = await userById(scope.db, userId)
  const { db } = scope
  const [roles, keys, sessions, totp, passkeys, trusts, known, waysBack, resets, magic, changes] = await db.batch([
    roleRowsOf(db, userId),
    keysOf(db, userId),
    sessionsOf(db, userId),
    totpOf(db, userId),
    passkeysOf(db, userId),
    trustsOf(db, userId),
    knownDevicesOf(db, userId),
    factorWaysBackOf(db, userId),
    ...proofsOf(db, userId),
  ])
  return {
    user: user && {
      id: user.id,
      email: user.email,
      displayName: user.displayName,
      locale: user.locale,
      createdAt: toMoment(user.createdAt),
    },
    sessions: sessions.map((s) => ({
      id: s.id,
      createdAt: toMoment(s.createdAt),
      lastSeenAt: toMoment(s.refreshedAt),
      endCause: s.endCause,
      name: s.name,
      browser: s.browser,
      system: s.system,
      country: s.country,
      city: s.city,
      amr: s.amr,
      authenticatedAt: toMoment(s.authenticatedAt),
    })),
    roles: roles.map(({ role, grantedAt }) => ({ role, grantedAt: toMoment(grantedAt) })),
    apiKeys: keys.map((k) => ({
      id: k.id,
      name: k.name,
      scopes: k.scopes,
      createdAt: toMoment(k.createdAt),
      expiresAt: toMoment(k.expiresAt),
    })),
    totp: totp.map((t) => ({ createdAt: toMoment(t.createdAt), isConfirmed: t.confirmedAt !== null })),
    passkeys: passkeys.map((p) => ({ id: p.id, name: p.name, createdAt: toMoment(p.createdAt) })),
    trustedDevices: trusts.map((t) => ({ id: t.id, browser: t.browser, system: t.system, country: t.country, city: t.city })),
    knownDevices: known.map((d) => ({
      createdAt: toMoment(d.createdAt),
      lastUsedAt: toMoment(d.lastUsedAt),
      expiresAt: toMoment(d.expiresAt),
    })),
    factorWaysBack: waysBack.map((w) => ({
      email: w.email,
      addedAt: toMoment(w.addedAt),
      expiresAt: toMoment(w.expiresAt),
      restoredAt: w.restoredAt && toMoment(w.restoredAt),
    })),
    passwordResets: resets.map(toRequest),
    magicLinks: magic.map(toRequest),
    emailChanges: changes.map((c) => ({
      ...toRequest(c),
      email: c.email,
      oldEmail: c.oldEmail,
      changedAt: c.changedAt && toMoment(c.changedAt),
      restoredAt: c.restoredAt && toMoment(c.restoredAt),
    })),
  }
}

const toRequest = (r: { readonly id: string; readonly createdAt: number; readonly expiresAt: number }) => ({
  id: r.id,
  createdAt: toMoment(r.createdAt),
  expiresAt: toMoment(r.expiresAt),
})

/** Forgets a user; the audit keeps the id, which then names nobody. */
export async function eraseIdentity(scope: Scope, userId: UserId): Promise<void> {
  const [user] = await userById(scope.db, userId)
  const codes = await Promise.all((['anywhere', 'session'] as const).map((door) => codeCharge(scope, userId, door)))
  const failures = user ? [reopenPassword(scope.db, (await accountCharge(scope, user.email)).key)] : []
  const { db } = scope
  const end = await everySessionEnd(scope, userId)
  const [ended] = await db.batch([
    sessionsOf(db, userId),
    erasePlaces(db, userId),
    ...failures,
    ...codes.map(({ key }) => reopenPassword(db, key)),
    ...eraseFactors(db, userId),
    eraseFactorWaysBack(db, userId),
    erasePasskeys(db, userId),
    erasePendings(db, userId),
    deleteTrustsIf(db, userId, sql`true`),
    forgetDevicesIf(db, { userId }, sql`true`),
    ...eraseAccess(db, userId),
    ...eraseUser(db, userId),
    end.statement,
  ])
  end.tell(ended)
}
