import type { AuditCheckpoint } from '../../contract/audit.ts'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import { describeError } from '../platform/log.ts'
import { toPage } from '../platform/page.ts'
import type { Scope } from '../platform/scope.ts'
import { anchorsOf, signCheckpoint } from './anchor.ts'
import { type Chain, GENESIS, type Head } from './link.ts'
import { beforeNumber } from './listing.ts'
import { CHECKPOINT_EVERY_MS } from './seal.ts'
import { kidOf } from './signing.ts'
import { checkpointsOf, dueChains, insertCheckpoint, markCheckpointed, markFaulty } from './store.ts'
import { walk } from './verify.ts'

/** Chains of one sweep: a minute apart, that is 28 800 a day. */
const CHAINS_MAX = 20
/** Links of one checkpoint. A chain that grows faster gets several a day. */
const LINKS_MAX = 2000
/** A broken chain is looked at again this often; nothing more is signed for it. */
const RECHECK_MS = 3_600_000

/** Checks what chains have grown by and signs where they stand. What is broken is never signed. */
export async function sweepCheckpoints(scope: Scope): Promise<number> {
  const due = await dueChains(scope.db, { now: scope.now(), kid: kidOf(scope.config.keyring.version) }, CHAINS_MAX)
  for (const { chain } of due) {
    try {
      await checkpointChain(scope, chain as Chain)
    } catch (error) {
      // One chain that cannot be read must not keep the others from theirs; it stays due.
      scope.log('audit.checkpoint-failed', { chain, ...describeError(error) })
    }
  }
  return due.length
}

async function checkpointChain(scope: Scope, chain: Chain): Promise<void> {
  const anchors = await anchorsOf(scope, chain)
  const from = anchors.find((anchor) => anchor.head !== null)?.head ?? GENESIS
  const { head, broken, isLast } = await walk(scope, chain, { from, anchors, linksMax: LINKS_MAX })
  if (broken) {
    const { seq, reason } = broken
    scope.log('audit.broken', { chain, seq, entryId: broken.entryId ?? undefined, reason })
    await markFaulty(scope.db, chain, { fault: JSON.stringify(broken), dueAt: scope.now() + RECHECK_MS })
  } else if (head.seq > 0) await sign(scope, chain, { head, isLast })
}

async function sign(scope: Scope, chain: Chain, at: { readonly head: Head; readonly isLast: boolean }): Promise<void> {
  const { head } = at
  const now = scope.now()
  const { kid, signed } = await signCheckpoint(scope.config, chain, { head, now })
  await scope.db.batch([
    insertCheckpoint(scope.db, { chain, seq: head.seq, kid, hash: head.hash, at: now, signed }),
    markCheckpointed(scope.db, chain, { head, kid, dueAt: at.isLast ? now + CHECKPOINT_EVERY_MS : now }),
  ])
  // Logs are kept elsewhere: a copy there outlives whoever rewrites the database.
  scope.log('audit.checkpoint', { chain, seq: head.seq, hash: head.hash, kid })
}

/** A page of checkpoints, newest first. */
export async function checkpointPage(scope: Scope, chain: Chain, query: PageQuery) {
  const rows = await checkpointsOf(scope.db, chain, { before: beforeNumber(query), limit: query.limit + 1 })
  return toPage(rows, query, {
    key: ({ seq }) => String(seq),
    item: ({ seq, hash, at, kid, signed }): AuditCheckpoint => ({ seq, hash, at: toMoment(at), kid, signed }),
  })
}
