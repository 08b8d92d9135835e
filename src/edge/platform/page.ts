import type { PageQuery } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { fromBase64Url, toBase64Url } from './base64.ts'

/** Where a page starts: after this key of the page before, or at the top. */
export function afterKey(query: PageQuery): string | undefined {
  if (query.cursor === undefined) return undefined
  const bytes = fromBase64Url(query.cursor)
  const key = bytes && new TextDecoder().decode(bytes)
  if (!key || !/^[a-z]+_[0-9a-z]{26}$/.test(key))
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  return key
}

/** A page from `limit + 1` rows: the extra row only tells that more follow. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  query: PageQuery,
  as: { readonly key: (row: Row) => string; readonly item: (row: Row) => Item },
) {
  const shown = rows.slice(0, query.limit)
  const last = shown.at(-1)
  const items = shown.map(as.item)
  return rows.length > query.limit && last ? { items, nextCursor: toBase64Url(new TextEncoder().encode(as.key(last))) } : { items }
}
