import type { Activity, ActivityQuery, AuditEntry, AuditFilter, AuditQuery } from '../../contract/audit.ts'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { SessionId, UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { fromBase64Url } from '../platform/base64.ts'
import { toPage } from '../platform/page.ts'
import type { Scope } from '../platform/scope.ts'
import type { Chain, Entry, Link } from './link.ts'
import { byOf, isTold } from './policy.ts'
import { activityOf, entriesOf, type Selection } from './store.ts'

const ACTIVITY_PAGE = 1000

/** What a cursor of ours says. @throws Problem `invalid-request` when it is none */
export function readCursor(cursor: string, shape: RegExp): readonly string[] {
  const bytes = fromBase64Url(cursor)
  const parts = shape.exec(bytes ? new TextDecoder().decode(bytes) : '')
  if (!parts) throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  return parts.slice(1)
}

/** The number before which a page of a descending list starts. */
export function beforeNumber({ cursor }: Pick<PageQuery, 'cursor'>): number | undefined {
  return cursor === undefined ? undefined : Number(readCursor(cursor, /^(\d{1,15})$/)[0])
}

/** A filter as the store takes it. */
export const selectionOf = ({ action, actor, subject, from, to }: AuditFilter): Selection => ({
  action,
  actor,
  subject,
  from: from === undefined ? undefined : Date.parse(from),
  to: to === undefined ? undefined : Date.parse(to),
})

const toAuditEntry = ({ entry, link }: { readonly entry: Entry; readonly link: Link | null }): AuditEntry => {
  const { orgId: _, at, ...said } = entry
  return { ...said, at: toMoment(at), seq: link?.seq ?? null, hash: link?.hash ?? null }
}

/** A page of a chain, newest first. New entries come on top, so a walk by cursor misses none that was there. */
export async function entryPage(scope: Scope, chain: Chain, query: AuditQuery) {
  const page = { selection: selectionOf(query), before: beforeNumber(query), limit: query.limit + 1 }
  const rows = await entriesOf(scope.db, chain, page)
  return toPage(rows, query, { key: ({ entry }) => String(entry.id), item: toAuditEntry })
}

function toActivity(entry: Entry, userId: UserId): Activity {
  const { at, action, subject, traceId } = entry
  const by = byOf(entry.actorId, userId)
  const told = isTold(by)
  return {
    at: toMoment(at),
    action,
    by,
    subject,
    traceId,
    cause: told ? entry.cause : null,
    country: told ? entry.country : null,
    sessionId: told ? (entry.sessionId as SessionId | null) : null,
  }
}

/** A page of one's own activity, newest first. */
export async function activityPage(scope: Scope, userId: UserId, query: ActivityQuery) {
  const page = { selection: selectionOf(query), before: beforeNumber(query), limit: query.limit + 1 }
  const rows = await activityOf(scope.db, userId, page)
  return toPage(rows, query, { key: (entry) => String(entry.id), item: (entry) => toActivity(entry, userId) })
}

/** All that the record says of a user. */
export async function exportActivity(scope: Scope, userId: UserId): Promise<object> {
  const activity: Activity[] = []
  let before: number | undefined
  for (;;) {
    const rows: readonly Entry[] = await activityOf(scope.db, userId, { selection: {}, before, limit: ACTIVITY_PAGE })
    activity.push(...rows.map((entry) => toActivity(entry, userId)))
    before = rows.at(-1)?.id
    if (rows.length < ACTIVITY_PAGE) return { activity }
  }
}
