import { type AuditBreak, type AuditVerification, VERIFY_LINKS_MAX, type VerifyQuery } from '../../contract/audit.ts'
import { Problem } from '../../contract/problem.ts'
import { toBase64Url } from '../platform/base64.ts'
import { type Db, openDb } from '../platform/db.ts'
import type { Scope } from '../platform/scope.ts'
import { anchorsOf, readCheckpoint, type StoredAnchor } from './anchor.ts'
import { type Chain, type Entry, GENESIS, type Head, hashOf, type Link, sealOf } from './link.ts'
import { readCursor } from './listing.ts'
import { type Anchor, breakOfAnchor, breakOfLink, type ExaminedLink, firstBreak } from './policy.ts'
import { linksFrom, pendingEntries, sealedPosition, unlinkedEntry } from './store.ts'

/** More waiting entries than this are not counted. */
const PENDING_MAX = 1000

type Reader = Pick<Scope, 'config' | 'env'>
type Keeper = Pick<Scope, 'config'> & { readonly db: Db }

/** What to walk, and what it must agree with. */
export interface Stretch {
  /** A place that is known to have stood; it must still stand. */
  readonly from: Head
  readonly anchors: readonly Anchor[]
  readonly linksMax: number
}

/** What a walk found. */
export interface Walk {
  readonly head: Head
  readonly broken: AuditBreak | undefined
  /** Whether there are no more links. */
  readonly isLast: boolean
  /** The last entry sealed at that time, over all chains. */
  readonly through: number
}

/** A place that was reached before must still be there. */
function breakOfBase(from: Head, links: readonly Link[]): AuditBreak | undefined {
  const [base] = links
  if (from.seq === 0 || (base?.seq === from.seq && base.hash === from.hash)) return undefined
  const reason = !base ? 'truncated' : base.seq === from.seq ? 'link-changed' : 'link-missing'
  return { seq: from.seq, entryId: from.entryId, reason }
}

async function examine({ config }: Keeper, row: { readonly link: Link; readonly entry: Entry | null }): Promise<ExaminedLink> {
  const { link, entry } = row
  return { link, entry, seal: await sealOf(config.keyring, link), hash: entry && (await hashOf(link, entry)) }
}

/** Follows links as long as they hold; answers the last that does, and what is wrong with the next. */
async function follow(
  keeper: Keeper,
  chain: Chain,
  on: {
    readonly from: Head
    readonly rows: readonly { readonly link: Link; readonly entry: Entry | null }[]
    readonly anchoredSeq: number
  },
): Promise<{ readonly head: Head; readonly broken: AuditBreak | undefined }> {
  let head = on.from
  for (const row of on.rows) {
    const broken = breakOfLink(await examine(keeper, row), { chain, before: head, anchoredSeq: on.anchoredSeq })
    if (broken) return { head, broken }
    head = row.link
  }
  return { head, broken: undefined }
}

/** An entry that stands between links, or before the last thing sealed anywhere, and has no link itself. */
async function breakOfUnlinked(
  { db }: Keeper,
  chain: Chain,
  ids: { readonly after: number; readonly through: number; readonly links: readonly Link[] },
): Promise<AuditBreak | undefined> {
  const [found] = await unlinkedEntry(db, chain, ids)
  if (!found) return undefined
  const before = ids.links.findLast((link) => link.entryId < found.id)
  return { seq: (before?.seq ?? 0) + 1, entryId: found.id, reason: 'entry-unlinked' }
}

/** Walks a stretch of a chain and finds what is wrong first. Bounded by `linksMax`. */
export async function walk(keeper: Keeper, chain: Chain, { from, anchors, linksMax }: Stretch): Promise<Walk> {
  // The place to walk from is read again, unless it is the start.
  const limit = from.seq === 0 ? linksMax : linksMax + 1
  const [rows, [position]] = await keeper.db.batch([linksFrom(keeper.db, chain, { seq: from.seq, limit }), sealedPosition(keeper.db)])
  const links = rows.map(({ link }) => link)
  const isLast = rows.length < limit
  const through = position?.through ?? 0
  const anchoredSeq = Math.max(0, ...anchors.filter((a) => a.hash !== null).map((a) => a.seq))
  const base = breakOfBase(from, links)
  const rest = base ? [] : rows.filter(({ link }) => link.seq !== from.seq)
  const { head, broken } = await follow(keeper, chain, { from, rows: rest, anchoredSeq })
  const last = links.at(-1)
  const endSeq = last?.seq ?? Math.max(from.seq - 1, 0)
  const unlinked = await breakOfUnlinked(keeper, chain, {
    // Ids begin at 1: whatever has a lower one was never written by us.
    after: from.seq === 0 ? Number.MIN_SAFE_INTEGER : from.entryId,
    through: isLast ? Math.max(through, last?.entryId ?? 0) : (last?.entryId ?? 0),
    links,
  })
  const first = firstBreak([...anchors.map((a) => breakOfAnchor(a, { links, isLast, endSeq })), base, broken, unlinked])
  // A gap in the links and the entry that lost its link are one finding.
  const entryId = first?.entryId ?? (unlinked?.seq === first?.seq ? unlinked?.entryId : null)
  return { head, broken: first && { ...first, entryId: entryId ?? null }, isLast, through }
}

const cursorOf = (head: Head): string => toBase64Url(new TextEncoder().encode(`${head.seq}.${head.entryId}.${head.hash}`))

function headOf(cursor: string | undefined): Head {
  if (cursor === undefined) return GENESIS
  const [seq, entryId, hash] = readCursor(cursor, /^(\d{1,15})\.(\d{1,15})\.([0-9a-f]{64})$/)
  return { seq: Number(seq), entryId: Number(entryId), hash: hash ?? '' }
}

/** A checkpoint that the caller has kept. @throws Problem `invalid-request` */
async function presentedAnchor(scope: Reader, chain: Chain, signed: string): Promise<Anchor> {
  const claims = await readCheckpoint(scope.config, chain, signed)
  if (claims) return claims
  const detail = 'is not a checkpoint of this chain, or its key is no longer in use'
  throw new Problem('invalid-request', { errors: [{ detail, pointer: '#/query/checkpoint' }] })
}

/** The next part of a chain, from the cursor or the start. Read at the primary, whatever position the client names. */
export async function verify(scope: Reader, chain: Chain, query: VerifyQuery): Promise<AuditVerification> {
  const keeper: Keeper = { config: scope.config, db: openDb(scope.env.DB, undefined).db }
  const presented = query.checkpoint === undefined ? [] : [await presentedAnchor(scope, chain, query.checkpoint)]
  const stored: readonly StoredAnchor[] = await anchorsOf(keeper, chain)
  const anchors = [...presented, ...stored]
  const found = await walk(keeper, chain, { from: headOf(query.cursor), anchors, linksMax: VERIFY_LINKS_MAX })
  const { head, broken, isLast } = found
  const isEnd = isLast || broken !== undefined
  const pending = isEnd ? await pendingEntries(keeper.db, chain, { after: found.through, limit: PENDING_MAX }) : []
  const genuine = anchors.filter((a) => a.hash !== null).map((a) => a.seq)
  return {
    status: broken ? 'broken' : 'intact',
    seq: broken ? Math.min(head.seq, broken.seq - 1) : head.seq,
    ...(!broken && { hash: head.hash }),
    checkpointSeq: genuine.length > 0 ? Math.max(...genuine) : null,
    pending: pending.length,
    ...(broken && { broken }),
    ...(!isEnd && { nextCursor: cursorOf(head) }),
  }
}
