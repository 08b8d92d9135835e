import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, prefixedId } from './id.ts'
import { OrgId } from './orgs.ts'

/** Keys of one authority: the one at work, and the next while hosts learn of it. */
export const SSH_CA_KEYS_MAX = 2
/** From the start to the end of a certificate: long enough to log in, too short to steal. */
export const CERTIFICATE_SECONDS_MAX = 300

/** Id of a key of an SSH certificate authority. */
export const SshCaKeyId = prefixedId('cak', 'SshCaKeyId')
/** Id of a key of an SSH certificate authority. */
export type SshCaKeyId = z.infer<typeof SshCaKeyId>

/** A key of an organisation's SSH certificate authority; its private half is never readable. */
export const SshCaKey = z
  .object({
    id: SshCaKeyId,
    publicKey: z.string().meta({ description: 'One line for the file that `TrustedUserCAKeys` of sshd names.' }),
    fingerprint: z.string(),
    isSigning: z.boolean().meta({ description: 'Whether it signs now: the oldest does.' }),
    createdAt: Moment,
  })
  .meta({ id: 'SshCaKey' })
/** A key of an organisation's SSH certificate authority. */
export type SshCaKey = z.infer<typeof SshCaKey>

/** All keys of an authority, the one at work first. */
export const SshCa = z.object({ keys: z.array(SshCaKey) }).meta({ id: 'SshCa' })
/** All keys of an authority. */
export type SshCa = z.infer<typeof SshCa>

const OrgPath = z.strictObject({ orgId: OrgId })

/** The operations of SSH certificate authorities. */
export const sshCaEndpoints = {
  getSshCa: endpoint({
    id: 'getSshCa',
    method: 'GET',
    path: '/v1/orgs/:orgId/ssh-ca',
    tag: 'hosts',
    access: 'user',
    summary: 'The public keys of the organisation’s SSH authority, for `TrustedUserCAKeys` on its hosts.',
    params: OrgPath,
    success: 200,
    response: SshCa,
    problems: ['not-found'],
  }),
  createSshCaKey: endpoint({
    id: 'createSshCaKey',
    method: 'POST',
    path: '/v1/orgs/:orgId/ssh-ca/keys',
    tag: 'hosts',
    access: 'user',
    isSensitive: true,
    summary: 'Make a key for the SSH authority. The first signs at once; a second waits until the first is deleted. Owners only.',
    params: OrgPath,
    success: 201,
    response: SshCaKey,
    problems: ['not-found', 'forbidden', 'limit-reached'],
  }),
  deleteSshCaKey: endpoint({
    id: 'deleteSshCaKey',
    method: 'DELETE',
    path: '/v1/orgs/:orgId/ssh-ca/keys/:keyId',
    tag: 'hosts',
    access: 'user',
    isSensitive: true,
    summary: 'Delete a key of the SSH authority; the next one signs from then on. Owners only.',
    params: z.strictObject({ orgId: OrgId, keyId: SshCaKeyId }),
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
}
