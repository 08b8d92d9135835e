import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf, Moment, prefixedId } from './id.ts'
import { ApiScope } from './permission.ts'
import { REVOCATION_SECONDS_MAX } from './sessions.ts'

/** Most API keys of one user that are neither revoked nor expired. */
export const API_KEYS_MAX = 25
/** Longest name of an API key. */
export const API_KEY_NAME_CHARS_MAX = 60
/** Longest life of an API key, in days. */
export const API_KEY_DAYS_MAX = 366
/** What every API key begins with, so that scanners of leaked secrets find it. */
export const API_KEY_PREFIX = 'pvk_'
/** How exact `lastUsedAt` is: a key in steady use is noted this often. */
export const API_KEY_USE_SECONDS = 600

/** Id of an API key: names it, opens nothing. */
export const ApiKeyId = prefixedId('key', 'ApiKeyId')
/** Id of an API key. */
export type ApiKeyId = z.infer<typeof ApiKeyId>

/** What the user calls an API key. */
export const ApiKeyName = lineOf(API_KEY_NAME_CHARS_MAX).meta({ id: 'ApiKeyName', example: 'Nightly backup' })

/** An API key, without the key. */
export const ApiKey = z
  .object({
    id: ApiKeyId,
    name: z.string(),
    hint: z.string().meta({ description: 'The first characters of the key, to tell keys apart.', example: 'pvk_3f9k' }),
    scopes: z.array(ApiScope),
    createdAt: Moment,
    expiresAt: Moment,
    lastUsedAt: Moment.nullable().meta({ description: `Within ${API_KEY_USE_SECONDS / 60} minutes; null when it was never used.` }),
  })
  .meta({ id: 'ApiKey' })
/** An API key, without the key. */
export type ApiKey = z.infer<typeof ApiKey>

/** The API keys of a user that are neither revoked nor expired, the newest first. */
export const ApiKeyList = z.object({ items: z.array(ApiKey).max(API_KEYS_MAX) }).meta({ id: 'ApiKeyList' })
/** The API keys of a user. */
export type ApiKeyList = z.infer<typeof ApiKeyList>

/** What `createApiKey` takes. */
export const CreateApiKey = z
  .strictObject({
    name: ApiKeyName,
    scopes: z
      .array(ApiScope)
      .min(1)
      .max(ApiScope.options.length)
      .refine((scopes) => new Set(scopes).size === scopes.length, 'names a scope twice'),
    expiresInDays: z.int().min(1).max(API_KEY_DAYS_MAX).default(90),
  })
  .meta({ id: 'CreateApiKey' })
/** What `createApiKey` takes. */
export type CreateApiKey = z.output<typeof CreateApiKey>

/** A new API key, and the only sight of it. */
export const NewApiKey = z
  .object({
    apiKey: ApiKey,
    token: z.string().meta({ description: 'Send it as a bearer token. It is shown this once and stored as a hash.' }),
  })
  .meta({ id: 'NewApiKey' })
/** A new API key. */
export type NewApiKey = z.infer<typeof NewApiKey>

/** What `renameApiKey` takes. */
export const RenameApiKey = z.strictObject({ name: ApiKeyName }).meta({ id: 'RenameApiKey' })
/** What `renameApiKey` takes. */
export type RenameApiKey = z.output<typeof RenameApiKey>

const ApiKeyParams = z.object({ apiKeyId: ApiKeyId })

/** The operations on one's own API keys. None of them takes an API key: a key makes no other, and sees none. */
export const apiKeyEndpoints = {
  createApiKey: endpoint({
    id: 'createApiKey',
    method: 'POST',
    path: '/v1/auth/keys',
    tag: 'identity',
    access: 'user',
    stepUp: true,
    summary: 'Make a key for a program of yours: it acts as you, within its scopes, until it expires.',
    body: CreateApiKey,
    success: 201,
    response: NewApiKey,
    problems: ['limit-reached'],
  }),
  listApiKeys: endpoint({
    id: 'listApiKeys',
    method: 'GET',
    path: '/v1/auth/keys',
    tag: 'identity',
    access: 'user',
    isSensitive: true,
    summary: 'Your API keys, the newest first.',
    success: 200,
    response: ApiKeyList,
    problems: [],
  }),
  renameApiKey: endpoint({
    id: 'renameApiKey',
    method: 'PATCH',
    path: '/v1/auth/keys/:apiKeyId',
    tag: 'identity',
    access: 'user',
    isSensitive: true,
    summary: 'Call an API key something else.',
    params: ApiKeyParams,
    body: RenameApiKey,
    success: 200,
    response: ApiKey,
    problems: ['not-found'],
  }),
  revokeApiKey: endpoint({
    id: 'revokeApiKey',
    method: 'DELETE',
    path: '/v1/auth/keys/:apiKeyId',
    tag: 'identity',
    access: 'user',
    isSensitive: true,
    summary: `End an API key. Its live sockets close at once; elsewhere in the world it works for ${REVOCATION_SECONDS_MAX} seconds at most. Again is fine.`,
    params: ApiKeyParams,
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
}
