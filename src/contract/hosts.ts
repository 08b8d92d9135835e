import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf, Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { JUMPS_MAX } from './krp.ts'
import { OrgId } from './orgs.ts'

/** Hosts of one organisation. */
export const HOSTS_PER_ORG_MAX = 1000
/** Pinned keys of one host: one per key type and a spare for a rotation. */
export const HOST_KEYS_MAX = 8
/** Tags of one host. */
export const HOST_TAGS_MAX = 32
/** Longest secret of a credential: an RSA-4096 key in PEM with room to spare. */
export const SECRET_CHARS_MAX = 16_384
/** Longest pause between keepalives; 0 sends none, for gear that breaks on them. */
export const KEEPALIVE_SECONDS_MAX = 3600
/** Bounds of the idle and the absolute timeout of shells. */
export const SHELL_SECONDS_MIN = 60
/** A shell that nobody ends lives a month at most. */
export const SHELL_SECONDS_MAX = 30 * 86_400

/** Id of a host. */
export const HostId = prefixedId('hst', 'HostId')
/** Id of a host. */
export type HostId = z.infer<typeof HostId>

/** One host key: type, base64 blob as in `known_hosts`, and OpenSSH's SHA-256 fingerprint. */
export const HostKey = z
  .object({ type: z.string().max(64), key: z.base64().max(4096), fingerprint: z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/) })
  .meta({ id: 'HostKey' })
/** One host key. */
export type HostKey = z.infer<typeof HostKey>

/** Host names (RFC 1123) and literal addresses; the relay checks what they resolve to. */
export const HostAddress = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$|^[0-9a-fA-F:]+$/)
  .meta({ id: 'HostAddress', example: 'web-1.example.org' })

/** A word to find hosts by, such as `web` or `env:production`. */
export const HostTag = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_.:/=-]{0,62}$/)
  .meta({ id: 'HostTag', example: 'env:production' })

/**
 * How to log in on the host. Secrets are sealed to the relay before they leave and never readable through any operation.
 * `keyboard-interactive`: whoever opens a shell answers the host's questions live. `certificate`: the organisation's SSH CA signs a key made for
 * the connection.
 */
export const Credential = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('password'), password: z.string().min(1).max(SECRET_CHARS_MAX) }),
    z.strictObject({
      kind: z.literal('private-key'),
      privateKey: z.string().min(1).max(SECRET_CHARS_MAX),
      passphrase: z.string().min(1).max(1024).optional(),
    }),
    z.strictObject({ kind: z.literal('keyboard-interactive') }),
    z.strictObject({ kind: z.literal('certificate') }),
  ])
  .meta({ id: 'Credential' })
/** How to log in on the host. */
export type Credential = z.output<typeof Credential>

/** The ways to log in. */
export const CredentialKind = z.enum(['password', 'private-key', 'keyboard-interactive', 'certificate']).meta({ id: 'CredentialKind' })
/** A way to log in. */
export type CredentialKind = z.infer<typeof CredentialKind>

/** `modern`: what OpenSSH offers today. `legacy`: also CBC, SHA-1 and small groups, for gear that knows nothing else; it goes on record. */
export const AlgorithmProfile = z.enum(['modern', 'legacy']).meta({ id: 'AlgorithmProfile' })
/** Which algorithms a host may negotiate. */
export type AlgorithmProfile = z.infer<typeof AlgorithmProfile>

const Port = z.int().min(1).max(65_535)
const SshUser = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/)
const Tags = z
  .array(HostTag)
  .max(HOST_TAGS_MAX)
  .transform((tags) => [...new Set(tags)].sort())
const Keepalive = z.int().min(0).max(KEEPALIVE_SECONDS_MAX)
const ShellSeconds = z.int().min(SHELL_SECONDS_MIN).max(SHELL_SECONDS_MAX).nullable()

/** What a host speaks. `telnet` also serves bare lines, as of a console server; it is not encrypted, and has no login, keys or commands of ours. */
export const HostKind = z.enum(['ssh', 'telnet']).meta({ id: 'HostKind' })
/** What a host speaks. */
export type HostKind = z.infer<typeof HostKind>

/** A host of an organisation. */
export const Host = z
  .object({
    id: HostId,
    orgId: OrgId,
    kind: HostKind,
    name: z.string(),
    address: z.string(),
    port: z.int(),
    user: z.string().nullable().meta({ description: 'Null of hosts without SSH: whoever opens a shell logs in by hand.' }),
    tags: z.array(HostTag),
    keys: z.array(HostKey),
    credentialKind: CredentialKind.nullable(),
    algorithms: AlgorithmProfile,
    keepaliveSeconds: z.int().meta({ description: 'Pause between keepalives; 0 sends none.' }),
    idleTimeoutSeconds: z.int().nullable().meta({ description: 'A shell into which nobody types for so long is ended; null never.' }),
    maxDurationSeconds: z.int().nullable().meta({ description: 'A shell that has lived so long is ended; null never.' }),
    jumpHostId: HostId.nullable().meta({ description: 'The host of the organisation through which this one is reached.' }),
    createdAt: Moment,
  })
  .meta({ id: 'Host' })
/** A host of an organisation. */
export type Host = z.infer<typeof Host>

const AcceptedKeys = z
  .array(HostKey.pick({ type: true, key: true }).strict())
  .min(1)
  .max(HOST_KEYS_MAX)

const Common = {
  name: lineOf(80),
  address: HostAddress,
  tags: Tags.default([]),
  keepaliveSeconds: Keepalive.default(30),
  idleTimeoutSeconds: ShellSeconds.default(null),
  maxDurationSeconds: ShellSeconds.default(null),
  jumpHostId: HostId.nullable().default(null),
}

/** An SSH host. `keys` are the ones a person compared and accepted, from `scanHost` or `known_hosts`. */
export const CreateSshHost = z
  .strictObject({
    kind: z.literal('ssh').optional(),
    ...Common,
    port: Port.default(22),
    user: SshUser,
    keys: AcceptedKeys,
    credential: Credential,
    algorithms: AlgorithmProfile.default('modern'),
  })
  .meta({ id: 'CreateSshHost' })
/** An SSH host. */
export type CreateSshHost = z.output<typeof CreateSshHost>

/** A host reached by Telnet or on a bare line. */
export const CreateTelnetHost = z
  .strictObject({
    kind: z.literal('telnet'),
    ...Common,
    port: Port.default(23),
    isUnencryptedAccepted: z
      .literal(true)
      .meta({ description: 'Whoever listens in reads and changes everything, passwords too; that this was accepted goes on record.' }),
  })
  .meta({ id: 'CreateTelnetHost' })
/** A host reached by Telnet or on a bare line. */
export type CreateTelnetHost = z.output<typeof CreateTelnetHost>

/** What `createHost` takes. Without a `kind` it is an SSH host. */
export const CreateHost = z.discriminatedUnion('kind', [CreateSshHost, CreateTelnetHost]).meta({
  id: 'CreateHost',
  // A reader of JSON Schema tells the two apart by nothing that must be there.
  override({ jsonSchema }: { readonly jsonSchema: Record<string, unknown> }) {
    jsonSchema['anyOf'] = jsonSchema['oneOf']
    delete jsonSchema['oneOf']
    delete jsonSchema['discriminator']
  },
})
/** What `createHost` takes. */
export type CreateHost = z.output<typeof CreateHost>

/**
 * What `updateHost` takes; what is left out stays. Whoever moves a host (address, port or jump host) brings its keys and its credential along,
 * so that a secret nobody can read is never carried to a machine of somebody's choice. Of a host without SSH
 * there is no `user`, `keys`, `credential` or `algorithms` to change.
 */
export const UpdateHost = z
  .strictObject({
    name: lineOf(80).optional(),
    address: HostAddress.optional(),
    port: Port.optional(),
    user: SshUser.optional(),
    tags: Tags.optional(),
    keys: AcceptedKeys.optional(),
    credential: Credential.optional(),
    algorithms: AlgorithmProfile.optional(),
    keepaliveSeconds: Keepalive.optional(),
    idleTimeoutSeconds: ShellSeconds.optional(),
    maxDurationSeconds: ShellSeconds.optional(),
    jumpHostId: HostId.nullable().optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'changes nothing')
  .meta({ id: 'UpdateHost' })
/** What `updateHost` takes. */
export type UpdateHost = z.output<typeof UpdateHost>

/** Where `scanHost` looks, and through which host. */
export const ScanHost = z
  .strictObject({
    address: HostAddress,
    port: Port.default(22),
    algorithms: AlgorithmProfile.default('modern'),
    jumpHostId: HostId.nullable().default(null),
  })
  .meta({ id: 'ScanHost' })
/** Where `scanHost` looks. */
export type ScanHost = z.output<typeof ScanHost>

/** What `listHosts` takes. */
export const HostsQuery = PageQuery.extend({ tag: HostTag.optional() })
/** What `listHosts` takes. */
export type HostsQuery = z.output<typeof HostsQuery>

const OrgPath = z.strictObject({ orgId: OrgId })
const HostPath = z.strictObject({ hostId: HostId })

/** The host operations. */
export const hostEndpoints = {
  scanHost: endpoint({
    id: 'scanHost',
    method: 'POST',
    path: '/v1/orgs/:orgId/hosts/scan',
    tag: 'hosts',
    access: 'user',
    isSensitive: true,
    scope: 'shells:write',
    summary: 'Ask a host for its keys of every type, to compare before accepting them. Owners only; nothing is kept.',
    params: OrgPath,
    body: ScanHost,
    success: 200,
    response: z.object({ keys: z.array(HostKey) }).meta({ id: 'HostScan' }),
    problems: [
      'not-found',
      'forbidden',
      'target-forbidden',
      'host-unreachable',
      'host-key-mismatch',
      'host-key-unknown',
      'host-refused',
      'limit-reached',
    ],
  }),
  createHost: endpoint({
    id: 'createHost',
    method: 'POST',
    path: '/v1/orgs/:orgId/hosts',
    tag: 'hosts',
    access: 'user',
    isSensitive: true,
    scope: 'shells:write',
    summary: `Register a host: by SSH with its accepted keys and its credential, or by Telnet. Up to ${JUMPS_MAX} jump hosts may lie before it. Owners only.`,
    params: OrgPath,
    body: CreateHost,
    success: 201,
    response: Host,
    problems: ['not-found', 'forbidden', 'limit-reached'],
  }),
  listHosts: endpoint({
    id: 'listHosts',
    method: 'GET',
    path: '/v1/orgs/:orgId/hosts',
    tag: 'hosts',
    access: 'user',
    scope: 'shells:read',
    summary: 'The hosts of an organisation, newest first; with `tag` those that carry it.',
    params: OrgPath,
    query: HostsQuery,
    success: 200,
    response: pageOf(Host, 'HostPage'),
    problems: ['not-found'],
  }),
  getHost: endpoint({
    id: 'getHost',
    method: 'GET',
    path: '/v1/hosts/:hostId',
    tag: 'hosts',
    access: 'user',
    scope: 'shells:read',
    summary: 'One host of an organisation you belong to.',
    params: HostPath,
    success: 200,
    response: Host,
    problems: ['not-found'],
  }),
  updateHost: endpoint({
    id: 'updateHost',
    method: 'PATCH',
    path: '/v1/hosts/:hostId',
    tag: 'hosts',
    access: 'user',
    isSensitive: true,
    summary: 'Change a host, or accept its new keys. Owners only; shells that live on it stay.',
    params: HostPath,
    body: UpdateHost,
    success: 200,
    response: Host,
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
  deleteHost: endpoint({
    id: 'deleteHost',
    method: 'DELETE',
    path: '/v1/hosts/:hostId',
    tag: 'hosts',
    access: 'user',
    isSensitive: true,
    scope: 'shells:write',
    summary: 'Forget a host and its credential. Owners only; live shells close. Not while other hosts are reached through it.',
    params: HostPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
}
