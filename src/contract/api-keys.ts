import type * as z from 'zod'
import { prefixedId } from './id.ts'

/** Id of an API key: names it, opens nothing. */
export const ApiKeyId = prefixedId('key', 'ApiKeyId')
/** Id of an API key. */
export type ApiKeyId = z.infer<typeof ApiKeyId>
