import { verifyAuthenticationResponse } from '@simplewebauthn/server'
import { sql } from 'drizzle-orm'
import * as z from 'zod'
import type { AuthMethod } from '../../contract/identity.ts'
import { CHALLENGE_TTL_SECONDS } from '../../contract/passkeys.ts'
import { Problem } from '../../contract/problem.ts'
import type { PasskeyAssertion, PasskeyRequestOptions } from '../../contract/webauthn.ts'
import { auditEntry } from '../audit/service.ts'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { advancePasskey, insertChallenge, passkeyByCredential, takeChallenge, touchPasskey } from './passkey-store.ts'
import type { Ceremony, passkeys, users } from './tables.ts'

type Passkey = typeof passkeys.$inferSelect
type User = typeof users.$inferSelect

/** What a challenge is good for: nothing else, and nobody else. */
export interface Purpose {
  readonly ceremony: Ceremony
  /** The session or the pending sign-in; empty where there is none yet. */
  readonly binding: string
}

const CHALLENGE_BYTES = 32
const ClientData = z.object({ challenge: z.string().min(1).max(200) })

/** A fresh challenge, kept for one ceremony. */
export async function drawChallenge(scope: Scope, purpose: Purpose): Promise<string> {
  const challenge = toBase64Url(crypto.getRandomValues(new Uint8Array(CHALLENGE_BYTES)))
  await insertChallenge(scope.db, { challenge, ...purpose, expiresAt: scope.now() + CHALLENGE_TTL_SECONDS * 1000 })
  return challenge
}

/** The challenge that a browser says it answered, gone with this. @throws Problem `passkey-invalid` when it was not ours to answer */
export async function redeemChallenge(scope: Scope, clientDataJson: string, purpose: Purpose): Promise<string> {
  const [taken] = await takeChallenge(scope.db, { challenge: challengeIn(clientDataJson), ...purpose, now: scope.now() })
  if (!taken) throw new Problem('passkey-invalid')
  return taken.challenge
}

function challengeIn(clientDataJson: string): string {
  const bytes = fromBase64Url(clientDataJson)
  try {
    return ClientData.parse(JSON.parse(new TextDecoder().decode(bytes))).challenge
  } catch {
    throw new Problem('passkey-invalid')
  }
}

/** Where ceremonies may happen, and what passkeys are bound to. */
export const partyOf = ({ config }: Scope) => ({
  expectedOrigin: [config.publicOrigin, ...config.corsOrigins],
  expectedRPID: config.passkeyRpId,
})

/** What a browser is asked to sign. Without passkeys any discoverable one of this service answers. */
export const requestOptions = (scope: Scope, challenge: string, allowed: readonly Passkey[]): PasskeyRequestOptions => ({
  challenge,
  rpId: scope.config.passkeyRpId,
  timeout: CHALLENGE_TTL_SECONDS * 1000,
  allowCredentials: allowed.map((p) => ({ id: p.credentialId, type: 'public-key' as const, transports: transportsOf(p) })),
  userVerification: 'required',
})

/** How a passkey can be reached. */
export const transportsOf = ({ transports }: Pick<Passkey, 'transports'>): string[] => z.array(z.string()).parse(JSON.parse(transports))

/** A verified passkey, and whose it is. */
export interface Proven {
  readonly user: User
  readonly methods: readonly AuthMethod[]
}

/**
 * Verifies what a passkey signed. It always verifies its user, so it stands for two factors (RFC 8176 `user`).
 *
 * @throws Problem `passkey-invalid`, whatever is wrong with it
 */
export async function provePasskey(scope: Scope, assertion: PasskeyAssertion, purpose: Purpose): Promise<Proven> {
  const challenge = await redeemChallenge(scope, assertion.response.clientDataJSON, purpose)
  const [found] = await passkeyByCredential(scope.db, assertion.id)
  if (!found || !isOwnHandle(assertion, found.user)) throw new Problem('passkey-invalid')
  const counter = await verifiedCounter(scope, { assertion, challenge, passkey: found.passkey })
  await noteUse(scope, found, counter)
  return { user: found.user, methods: [found.passkey.isBackupEligible === 1 ? 'swk' : 'hwk', 'user'] }
}

/** A discoverable passkey says whose it is; another user's row would be a forgery. */
function isOwnHandle({ response: { userHandle } }: PasskeyAssertion, user: User): boolean {
  if (userHandle === undefined || userHandle === null) return true
  return userHandle === handleOf(user)
}

/** The user handle: an id that says nothing of the person (WebAuthn §14.6.1). */
export const handleOf = ({ id }: Pick<User, 'id'>): string => toBase64Url(new TextEncoder().encode(id))

interface Presented {
  readonly assertion: PasskeyAssertion
  readonly challenge: string
  readonly passkey: Passkey
}

/** The library's faults are all the caller's: their texts stay inside. */
async function verifiedCounter(scope: Scope, { assertion, challenge, passkey }: Presented): Promise<number> {
  const { id, rawId, type, response } = assertion
  const { clientDataJSON, authenticatorData, signature } = response
  const publicKey = fromBase64Url(passkey.publicKey)
  if (!publicKey) throw new Error('a stored public key is damaged')
  const verified = await verifyAuthenticationResponse({
    ...partyOf(scope),
    expectedChallenge: challenge,
    response: { id, rawId, type, response: { clientDataJSON, authenticatorData, signature }, clientExtensionResults: {} },
    // A counter that did not grow is a signal, no refusal: synced passkeys do not count (WebAuthn §6.1.1).
    credential: { id, publicKey, counter: 0 },
    requireUserVerification: true,
  }).catch(() => undefined)
  if (!verified?.verified) throw new Problem('passkey-invalid')
  return verified.authenticationInfo.newCounter
}

async function noteUse(
  scope: Scope,
  { passkey, user }: { readonly passkey: Passkey; readonly user: User },
  counter: number,
): Promise<void> {
  const now = scope.now()
  const advanced = await advancePasskey(scope.db, passkey.id, { counter, now })
  if (advanced.meta.changes > 0) return
  const mail = { to: user.email, locale: user.locale, kind: 'passkey-suspect', event: eventAt(now) } as const
  const notice = await mailEventIf(scope, mail, sql`true`)
  const entry = auditEntry(scope, { action: 'passkey.suspect', subject: passkey.id, cause: 'counter', actorId: user.id })
  await commit(scope, [touchPasskey(scope.db, passkey.id, now), entry], [notice])
}
