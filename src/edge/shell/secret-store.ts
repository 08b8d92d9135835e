import { and, asc, eq, isNull, ne, or, sql } from 'drizzle-orm'
import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { SSH_CA_KEYS_MAX, type SshCaKeyId } from '../../contract/ssh-ca.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import { sshCaKeys as ca, hosts as h } from './tables.ts'

/** The keys of an authority, the one at work first. */
export const caKeysOf = (db: Db, orgId: OrgId) => db.select().from(ca).where(eq(ca.orgId, orgId)).orderBy(asc(ca.id))

/** One row while the caller owns the organisation and there is room. */
export const insertCaKey = (db: Db, callerId: UserId, key: Omit<typeof ca.$inferSelect, 'secretFault'>) =>
  db.insert(ca).select(
    sql`SELECT ${key.id} AS id, ${key.orgId} AS org_id, ${key.publicKey} AS public_key, ${key.privateKey} AS private_key,
        ${key.secretVersion} AS secret_version, NULL AS secret_fault, ${key.createdAt} AS created_at
      WHERE ${orgRoleSql(key.orgId, callerId)} = 'owner'
        AND (SELECT count(*) FROM ssh_ca_keys AS held WHERE held.org_id = ${key.orgId}) < ${SSH_CA_KEYS_MAX}`,
  )

export const deleteCaKey = (db: Db, callerId: UserId, at: { readonly orgId: OrgId; readonly keyId: SshCaKeyId }) =>
  db.delete(ca).where(and(eq(ca.id, at.keyId), eq(ca.orgId, at.orgId), sql`${orgRoleSql(at.orgId, callerId)} = 'owner'`))

/** With its organisation an authority goes. */
export const deleteOrgCaKeys = (db: Db, orgId: OrgId) => db.delete(ca).where(eq(ca.orgId, orgId))

/** Hosts whose credential is under another root secret than the newest, and has not been found to be closed for good under it. */
export const staleCredentials = (db: Db, version: number, limit: number) =>
  db
    .select({ id: h.id, credential: h.credential })
    .from(h)
    .where(and(ne(h.secretVersion, version), or(isNull(h.secretFault), ne(h.secretFault, version))))
    .limit(limit)

/** Keys of authorities in the same need. */
export const staleCaKeys = (db: Db, version: number, limit: number) =>
  db
    .select({ id: ca.id, privateKey: ca.privateKey })
    .from(ca)
    .where(and(ne(ca.secretVersion, version), or(isNull(ca.secretFault), ne(ca.secretFault, version))))
    .limit(limit)

/** Replaces the very box that was opened; one that changed meanwhile is newer and stays. */
export const putCredential = (
  db: Db,
  from: { readonly id: HostId; readonly credential: string },
  to: { credential: string; version: number },
) =>
  db
    .update(h)
    .set({ credential: to.credential, secretVersion: to.version, secretFault: null })
    .where(and(eq(h.id, from.id), eq(h.credential, from.credential)))

/** As {@link putCredential} for the key of an authority. */
export const putCaKey = (
  db: Db,
  from: { readonly id: SshCaKeyId; readonly privateKey: string },
  to: { privateKey: string; version: number },
) =>
  db
    .update(ca)
    .set({ privateKey: to.privateKey, secretVersion: to.version, secretFault: null })
    .where(and(eq(ca.id, from.id), eq(ca.privateKey, from.privateKey)))

export const markCredential = (db: Db, id: HostId, fault: number) => db.update(h).set({ secretFault: fault }).where(eq(h.id, id))

export const markCaKey = (db: Db, id: SshCaKeyId, fault: number) => db.update(ca).set({ secretFault: fault }).where(eq(ca.id, id))

/** Secrets that could not be opened when they were last looked at. */
export const countFaulty = (db: Db) =>
  db.all<{ readonly faulty: number }>(
    sql`SELECT (SELECT count(*) FROM hosts WHERE secret_fault IS NOT NULL) + (SELECT count(*) FROM ssh_ca_keys WHERE secret_fault IS NOT NULL) AS faulty`,
  )
