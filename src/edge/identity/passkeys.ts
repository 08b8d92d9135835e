import { verifyRegistrationResponse } from '@simplewebauthn/server'
import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import { toMoment } from '../../contract/id.ts'
import {
  CHALLENGE_TTL_SECONDS,
  type CreatedPasskey,
  type CreatePasskey,
  PASSKEYS_MAX,
  type Passkey,
  type PasskeyId,
} from '../../contract/passkeys.ts'
import { Problem } from '../../contract/problem.ts'
import type { PasskeyAttestation, PasskeyCreationOptions } from '../../contract/webauthn.ts'
import { auditIfChanged } from '../audit/service.ts'
import { toBase64Url } from '../platform/base64.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { drawChallenge, handleOf, partyOf, redeemChallenge, transportsOf } from './ceremony.ts'
import { afterAdding, afterRemoving, shortPassword } from './enrolment.ts'
import {
  deleteOwnPasskey,
  insertPasskey,
  isPasskey,
  type NewPasskey,
  passkeyByCredential,
  passkeysOf,
  renameOwnPasskey,
} from './passkey-store.ts'
import { standing } from './standing.ts'
import type { passkeys } from './tables.ts'

type Row = typeof passkeys.$inferSelect

/** EdDSA, ES256 and RS256 (COSE), which every authenticator knows one of. */
const ALGORITHMS = [-8, -7, -257]

const actingOf = (scope: Scope, { userId, sessionId }: Actor) => ({ userId, sessionId, now: scope.now() })
const purposeOf = ({ sessionId }: Actor) => ({ ceremony: 'create', binding: sessionId }) as const

/** What the API tells of a passkey: never its keys. */
const toPasskey = (row: Row): Passkey => ({
  id: row.id,
  name: row.name,
  isSynced: row.isBackupEligible === 1,
  createdAt: toMoment(row.createdAt),
  lastUsedAt: row.lastUsedAt === null ? null : toMoment(row.lastUsedAt),
})

/** The user's passkeys. */
export async function listPasskeys(scope: Scope, actor: Actor): Promise<{ items: Passkey[] }> {
  const rows = await passkeysOf(scope.db, actor.userId)
  return { items: rows.map(toPasskey) }
}

/** What an authenticator is asked to make. @throws Problem `limit-reached` */
export async function startPasskey(scope: Scope, actor: Actor): Promise<PasskeyCreationOptions> {
  const { user } = await standing(scope, actor)
  const own = await passkeysOf(scope.db, user.id)
  if (own.length >= PASSKEYS_MAX) throw new Problem('limit-reached')
  return {
    challenge: await drawChallenge(scope, purposeOf(actor)),
    rp: { id: scope.config.passkeyRpId, name: scope.config.productName },
    user: { id: handleOf(user), name: user.email, displayName: user.email },
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: 'public-key', alg })),
    timeout: CHALLENGE_TTL_SECONDS * 1000,
    excludeCredentials: own.map((p) => ({ id: p.credentialId, type: 'public-key', transports: transportsOf(p) })),
    authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    attestation: 'none',
  }
}

/**
 * Adds a passkey that the session asked for.
 *
 * @throws Problem `passkey-invalid`, `conflict` when somebody has it, `limit-reached`
 */
export async function createPasskey(scope: Scope, actor: Actor, { name, attestation }: CreatePasskey): Promise<CreatedPasskey> {
  const { db } = scope
  const challenge = await redeemChallenge(scope, attestation.response.clientDataJSON, purposeOf(actor))
  const { user } = await standing(scope, actor)
  const acting = actingOf(scope, actor)
  const made = await verifiedPasskey(scope, attestation, challenge)
  const id = scope.newId('pky') as PasskeyId
  const row: NewPasskey = { ...made, id, userId: user.id, name, createdAt: acting.now }
  const methods = [made.isBackupEligible === 1 ? 'swk' : 'hwk', 'user'] as const
  const after = await afterAdding(scope, { user, acting, factor: 'passkey' }, { isDone: isPasskey(id), methods })
  const [added, , , ended, , brought] = await db.batch([
    insertPasskey(db, acting, row),
    auditIfChanged(scope, { action: 'passkey.add', subject: id }),
    ...after.statements,
  ])
  if (added.meta.changes === 0) throw await whyNot(scope, made.credentialId)
  after.end.tell(ended)
  scope.deliver(after.noticeIds)
  return { passkey: toPasskey({ ...row, lastUsedAt: null }), recoveryCodes: brought.meta.changes > 0 ? after.codes : [] }
}

async function whyNot(scope: Scope, credentialId: string): Promise<Problem> {
  const [taken] = await passkeyByCredential(scope.db, credentialId)
  return new Problem(taken ? 'conflict' : 'limit-reached')
}

/** The library's faults are all the caller's: their texts stay inside. */
async function verifiedPasskey(scope: Scope, { id, rawId, type, response }: PasskeyAttestation, challenge: string) {
  const { clientDataJSON, attestationObject, transports = [] } = response
  const verified = await verifyRegistrationResponse({
    ...partyOf(scope),
    expectedChallenge: challenge,
    response: { id, rawId, type, response: { clientDataJSON, attestationObject }, clientExtensionResults: {} },
    requireUserVerification: true,
    supportedAlgorithmIDs: ALGORITHMS,
  }).catch(() => undefined)
  if (!verified?.verified) throw new Problem('passkey-invalid')
  const { credential, credentialDeviceType } = verified.registrationInfo
  return {
    credentialId: credential.id,
    publicKey: toBase64Url(credential.publicKey),
    counter: credential.counter,
    transports: JSON.stringify(transports),
    isBackupEligible: credentialDeviceType === 'multiDevice' ? 1 : 0,
  }
}

/** Names one of the user's passkeys. @throws Problem `not-found` for a foreign or unknown one */
export async function renamePasskey(scope: Scope, actor: Actor, to: { readonly id: PasskeyId; readonly name: string }): Promise<Passkey> {
  const [[renamed]] = await scope.db.batch([
    renameOwnPasskey(scope.db, actingOf(scope, actor), to),
    auditIfChanged(scope, { action: 'passkey.rename', subject: to.id }),
  ])
  if (!renamed) throw new Problem('not-found')
  return toPasskey(renamed)
}

/** Removes one of the user's passkeys. @throws Problem `not-found`, or `conflict` for the last way to sign in */
export async function deletePasskey(scope: Scope, actor: Actor, id: PasskeyId): Promise<void> {
  const { db } = scope
  const { user, enrolment } = await standing(scope, actor)
  const own = await passkeysOf(db, user.id)
  if (!own.some((p) => p.id === id)) throw new Problem('not-found')
  const acting = actingOf(scope, actor)
  const after = await afterRemoving(scope, { user, acting, factor: 'passkey' })
  const [removed] = await db.batch([
    deleteOwnPasskey(db, acting, id),
    auditIfChanged(scope, { action: 'passkey.remove', subject: id }),
    ...after.statements,
  ])
  if (removed.meta.changes === 0) {
    throw enrolment.hasPassword > 0 ? shortPassword() : new Problem('conflict', { detail: ACCOUNT_FAULTS.lastMethod })
  }
  scope.deliver([after.noticeId])
}
