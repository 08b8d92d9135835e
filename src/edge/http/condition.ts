import { Problem } from '../../contract/problem.ts'
import { toBase64Url } from '../platform/base64.ts'

/** The versions that `If-Match` names: any at all, or one of these. */
export type EntityTags = '*' | readonly string[]

/** RFC 9110 §8.8.3; a weak one never matches here (§13.1.1). */
const TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g
/** 128 bits of the hash. */
const TAG_CHARS = 22

/** The version of what an answer shows: another as soon as anything in it is. */
export async function etagOf(shown: object): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(shown)))
  return `"${toBase64Url(new Uint8Array(hash)).slice(0, TAG_CHARS)}"`
}

/** Which versions a caller is willing to change. @throws Problem `precondition-required` or `invalid-request` */
export function readIfMatch(headers: Headers): EntityTags {
  const header = headers.get('if-match')?.trim()
  if (header === undefined) throw new Problem('precondition-required')
  if (header === '*') return '*'
  const tags = header.match(TAG) ?? []
  if (tags.length === 0 || /[^\s,]/.test(header.replace(TAG, '')))
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a list of entity tags', pointer: '#/header/if-match' }] })
  return tags
}

/** Whether a version is one of those that are named. */
export const isNamed = (tags: EntityTags, etag: string): boolean => tags === '*' || tags.includes(etag)
