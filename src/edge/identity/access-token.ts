import { jwtVerify, SignJWT } from 'jose'
import * as z from 'zod'
import { API_KEY_USE_SECONDS, type ApiKeyId } from '../../contract/api-keys.ts'
import type { Demands } from '../../contract/endpoint.ts'
import { SessionId, UserId } from '../../contract/identity.ts'
import { SigningAlg } from '../../contract/keys.ts'
import { isAllowed } from '../../contract/permission.ts'
import { Problem } from '../../contract/problem.ts'
import { REVOCATION_SECONDS_MAX } from '../../contract/sessions.ts'
import { fromBase64Url } from '../platform/base64.ts'
import { openDb } from '../platform/db.ts'
import { describeError } from '../platform/log.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { apiKeyHash, isApiKey } from './api-key.ts'
import { liveKey, noteKeyUse } from './api-key-store.ts'
import { jitteredTtlSeconds } from './policy.ts'
import { liveSession, type TokenSubject } from './session-store.ts'
import { signingKey, verifyingKey } from './signing-keys.ts'
import { demandStepUp, standing } from './standing.ts'

/** RFC 9068 §2.1: what tells an access token from every other token of ours. */
const TYP = 'at+jwt'
/** Workers' clocks agree to well under this. */
const CLOCK_SECONDS = 5
/** How long an isolate trusts a session it has checked: the bound of revocation on ordinary routes. */
const REMEMBER_MS = REVOCATION_SECONDS_MAX * 1000
/** About 5 MB of tokens and actors. */
const REMEMBERED_MAX = 5_000
/** Ours are below 600. */
const TOKEN_CHARS_MAX = 2_048

const Claims = z.object({ sub: UserId, sid: SessionId, exp: z.int(), jti: z.string() })

/** Who an access token names, before storage is asked. */
type Bearer = Omit<Actor, 'roles'> & { readonly sessionId: SessionId }

interface Remembered {
  readonly actor: Actor
  checkedAt: number
}

/** Verified tokens of this isolate, oldest first, keyed by the whole token: two tokens never share an entry. */
const remembered = new Map<string, Remembered>()

/** How often something was forgotten: a look that began before may have seen what is over by now. */
let forgotten = 0

/** An access token for a session. `exp` never passes the session's own end. */
export async function mintAccessToken(scope: Scope, session: Omit<TokenSubject, 'counter'>) {
  const { kid, alg, key } = await signingKey(scope)
  const now = Math.floor(scope.now() / 1000)
  const random = (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32
  const exp = Math.min(now + jitteredTtlSeconds(scope.config.accessTtlSeconds, random), Math.floor(session.expiresAt / 1000))
  const { publicOrigin } = scope.config
  const accessToken = await new SignJWT({
    sid: session.id,
    client_id: publicOrigin,
    amr: session.amr.split(' '),
    auth_time: Math.floor(session.authenticatedAt / 1000),
  })
    .setProtectedHeader({ alg, typ: TYP, kid })
    .setIssuer(publicOrigin)
    .setAudience(publicOrigin)
    .setSubject(session.userId)
    .setJti(scope.newId('jti'))
    .setIssuedAt(now)
    .setExpirationTime(exp)
    .sign(key)
  return { accessToken, expiresAt: exp * 1000 }
}

async function verify(scope: Scope, token: string): Promise<Bearer> {
  const isCanonical = token.length <= TOKEN_CHARS_MAX && token.split('.').every((segment) => fromBase64Url(segment) !== undefined)
  if (!isCanonical) throw new Problem('unauthenticated')
  const keyFor = async ({ kid = '', alg = '' }: { kid?: string | undefined; alg?: string | undefined }) => {
    const key = await verifyingKey(scope, { kid, alg })
    if (!key) throw new Problem('unauthenticated')
    return key
  }
  const { publicOrigin } = scope.config
  const options = {
    algorithms: [...SigningAlg.options],
    typ: TYP,
    issuer: publicOrigin,
    audience: publicOrigin,
    clockTolerance: CLOCK_SECONDS,
    currentDate: new Date(scope.now()),
  }
  try {
    const { payload } = await jwtVerify(token, keyFor, options)
    const { sub, sid, exp } = Claims.parse(payload)
    return { userId: sub, sessionId: sid, expiresAt: exp * 1000 }
  } catch (error) {
    // Storage trouble is not the caller's fault; everything jose or zod dislikes is.
    if (error instanceof Error && (error.name.startsWith('JW') || error.name.startsWith('JOSE') || error instanceof z.ZodError))
      throw new Problem('unauthenticated')
    throw error
  }
}

function remember(token: string, entry: Remembered): void {
  const [oldest] = remembered.keys()
  if (remembered.size >= REMEMBERED_MAX && oldest !== undefined) remembered.delete(oldest)
  remembered.set(token, entry)
}

/**
 * Who an access token or an API key speaks for, and whether they may do what demands this. An isolate asks storage about a session or
 * a key at most every 30 seconds; before what is sensitive it asks anew, where the operation does not do that itself.
 *
 * @throws Problem `unauthenticated` for a token we would not have minted or that has expired, `session-ended` when its session is over,
 * `scope-missing` for a key that is not allowed this, `forbidden` where no role allows it, `step-up-required` where a fresh proof is
 * demanded and the session has none
 */
export async function authenticate(scope: Scope, token: string, demands: Demands = {}): Promise<Actor> {
  const { permission, stepUp, looksItself, isSensitive = Boolean(permission ?? stepUp) } = demands
  const actor = isSensitive && !looksItself ? await ask(scope, token) : await recognise(scope, token)
  if (actor.scopes && (demands.scope === undefined || !actor.scopes.includes(demands.scope))) throw new Problem('scope-missing')
  if (permission && !isAllowed(permission, actor.roles)) throw new Problem('forbidden')
  if (stepUp) demandStepUp(scope, await standing(scope, actor))
  return actor
}

async function recognise(scope: Scope, token: string): Promise<Actor> {
  const now = scope.now()
  const known = remembered.get(token)
  if (known && known.actor.expiresAt <= now) {
    remembered.delete(token)
    throw new Problem('unauthenticated')
  }
  if (known && now - known.checkedAt < REMEMBER_MS) return known.actor
  return ask(scope, token, known)
}

/** The database at its primary, opened only for a token that may be ours: a bookmark of the caller's choice may be of before a revocation. */
const openPrimary = (scope: Scope): Scope['db'] => openDb(scope.env.DB, undefined).db

async function ask(scope: Scope, token: string, known?: Remembered): Promise<Actor> {
  // As of before the look: what ends while storage answers must not live longer for it.
  const [checkedAt, endsNoted] = [scope.now(), forgotten]
  const actor = isApiKey(token) ? await holderOfKey(scope, token) : await holderOfToken(scope, known?.actor ?? (await verify(scope, token)))
  if (endsNoted === forgotten) remember(token, { actor, checkedAt })
  return actor
}

async function holderOfToken(scope: Scope, bearer: Bearer | Actor): Promise<Actor> {
  const [live] = await liveSession(openPrimary(scope), bearer.sessionId, scope.now())
  if (live) return { ...bearer, roles: live.roles }
  forgetSession(bearer.sessionId)
  throw new Problem('session-ended')
}

/** No role goes along with a key, so none makes an admin of a program. */
async function holderOfKey(scope: Scope, token: string): Promise<Actor> {
  const tokenHash = await apiKeyHash(token)
  if (tokenHash === undefined) throw new Problem('unauthenticated')
  const now = scope.now()
  const [key] = await liveKey(openPrimary(scope), tokenHash, now)
  if (!key) {
    remembered.delete(token)
    throw new Problem('unauthenticated')
  }
  if (key.lastUsedAt === null || key.lastUsedAt < now - API_KEY_USE_SECONDS * 1000) noteUse(scope, key.id)
  return { userId: key.userId, sessionId: key.id, expiresAt: key.expiresAt, roles: [], scopes: key.scopes }
}

/** Nobody waits for the note, and a call does not fail for want of it. */
function noteUse(scope: Scope, id: ApiKeyId): void {
  const noted = noteKeyUse(scope.db, id, scope.now()).then(
    () => undefined,
    (error: unknown) => scope.log('api-key.unnoted', describeError(error)),
  )
  scope.waitUntil(noted)
}

/** Makes this isolate ask again about every session and key. */
export function forgetEverySession(): void {
  forgotten++
  remembered.clear()
}

/** Makes this isolate ask again about a session or key that has just ended here. */
export function forgetSession(sessionId: Actor['sessionId']): void {
  forgotten++
  for (const [token, { actor }] of remembered) if (actor.sessionId === sessionId) remembered.delete(token)
}
