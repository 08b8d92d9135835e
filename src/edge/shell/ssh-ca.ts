import { toMoment } from '../../contract/id.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { CERTIFICATE_SECONDS_MAX, type SshCa, type SshCaKey, SshCaKeyId } from '../../contract/ssh-ca.ts'
import { auditIfChanged } from '../audit/service.ts'
import { orgRoleOf, requireOrgRole } from '../orgs/service.ts'
import { fromBase64, toBase64 } from '../platform/base64.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { type CertificateGrant, type Certified, certify, generateSshKey } from './certificate.ts'
import { fingerprintOf } from './host-key.ts'
import { caKeysOf, deleteCaKey, insertCaKey } from './secret-store.ts'
import type { sshCaKeys } from './tables.ts'

type CaRow = typeof sshCaKeys.$inferSelect

const PURPOSE = 'ssh-ca'
/** Clocks of hosts that are late by less than this still take a new certificate. */
const BACKDATE_SECONDS = 60

/** What we wrote ourselves. */
const decode = (base64: string): Uint8Array<ArrayBuffer> => fromBase64(base64) ?? new Uint8Array()

async function toKey({ id, orgId, publicKey, createdAt }: CaRow, index: number): Promise<SshCaKey> {
  const line = `ssh-ed25519 ${publicKey} parvis-${orgId}`
  return {
    id,
    publicKey: line,
    fingerprint: await fingerprintOf(decode(publicKey)),
    isSigning: index === 0,
    createdAt: toMoment(createdAt),
  }
}

/** The public keys of an organisation's authority, the one at work first. @throws Problem `not-found` */
export async function getSshCa(scope: Scope, actor: Actor, orgId: OrgId): Promise<SshCa> {
  await orgRoleOf(scope, actor, orgId)
  return { keys: await Promise.all((await caKeysOf(scope.db, orgId)).map(toKey)) }
}

/** Makes a key; a second one waits for the first to go. @throws Problem `not-found`, `forbidden` or `limit-reached` */
export async function createSshCaKey(scope: Scope, actor: Actor, orgId: OrgId): Promise<SshCaKey> {
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const { keyring } = scope.config
  const id = SshCaKeyId.parse(scope.newId('cak'))
  const pair = await generateSshKey()
  const privateKey = await keyring.seal(PURPOSE, id, pair.privateKey)
  pair.privateKey.fill(0)
  const row = { id, orgId, publicKey: toBase64(pair.publicKey), privateKey, secretVersion: keyring.version, createdAt: scope.now() }
  const results = (await commit(scope, [
    insertCaKey(scope.db, actor.userId, row),
    auditIfChanged(scope, { action: 'ssh-ca.create', subject: id, orgId, cause: await fingerprintOf(pair.publicKey) }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw new Problem('limit-reached')
  const keys = await caKeysOf(scope.db, orgId)
  const index = keys.findIndex((key) => key.id === id)
  return toKey({ ...row, secretFault: null }, Math.max(0, index))
}

/** Deletes a key; the next one signs from then on. @throws Problem `not-found` or `forbidden` */
export async function deleteSshCaKey(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly keyId: SshCaKeyId }): Promise<void> {
  const { orgId, keyId } = at
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const results = (await commit(scope, [
    deleteCaKey(scope.db, actor.userId, at),
    auditIfChanged(scope, { action: 'ssh-ca.delete', subject: keyId, orgId }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw new Problem('not-found')
}

/** Whom a certificate is for. */
export type Certificand = Omit<CertificateGrant, 'validAfter' | 'validBefore'>

/** A key for one connection, signed by the organisation's authority. @throws Error when there is none, or its key cannot be opened */
export async function issueCertificate(scope: Pick<Scope, 'db' | 'config' | 'now'>, orgId: OrgId, whom: Certificand): Promise<Certified> {
  const [signing] = await caKeysOf(scope.db, orgId)
  if (!signing) throw new NoAuthority()
  const privateKey = await scope.config.keyring.open(PURPOSE, signing.id, signing.privateKey)
  const validAfter = Math.floor(scope.now() / 1000) - BACKDATE_SECONDS
  try {
    const grant = { ...whom, validAfter, validBefore: validAfter + CERTIFICATE_SECONDS_MAX }
    return await certify(grant, { privateKey, publicKey: decode(signing.publicKey) })
  } finally {
    privateKey.fill(0)
  }
}

/** The organisation has no authority that could sign. */
export class NoAuthority extends Error {
  override readonly name = 'NoAuthority'
}

/** The key of an authority under the newest root secret. @throws Error when no listed one opens it */
export async function rewrapCaKey(scope: Pick<Scope, 'config'>, { id, privateKey }: Pick<CaRow, 'id' | 'privateKey'>): Promise<string> {
  const { keyring } = scope.config
  const plain = await keyring.open(PURPOSE, id, privateKey)
  try {
    return await keyring.seal(PURPOSE, id, plain)
  } finally {
    plain.fill(0)
  }
}
