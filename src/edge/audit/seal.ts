import { openDb } from '../platform/db.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { chainOf, GENESIS, type Head, type Link, linkAfter } from './link.ts'
import { insertLinks, markGrown, unsealedEntries } from './store.ts'

/** Links of one statement: about 150 KB of JSON, some tens of milliseconds of hashing. */
const LINKS_PER_PASS_MAX = 500
/** What one run may do before it leaves the rest to the next. */
const PASSES_SOON_MAX = 4
const PASSES_SWEEP_MAX = 40
/** Between asking for a seal and looking for the entry: the batch that carries it must be in by then. */
const SETTLE_MS = 500
/** How long a chain that has grown may go without a checkpoint. */
export const CHECKPOINT_EVERY_MS = 86_400_000

/** Links that continue every chain from where it stood when they were planned. */
export interface SealPlan {
  /** The last entry sealed then, over all chains. */
  readonly through: number
  readonly links: readonly Link[]
}

/** What the oldest unsealed entries need. Ids grow in the order of commits, so none can appear behind one that was read. */
export async function planLinks(scope: Pick<Scope, 'config' | 'db'>, limit = LINKS_PER_PASS_MAX): Promise<SealPlan> {
  const rows = await unsealedEntries(scope.db, limit)
  const heads = new Map<string, Head>()
  const links: Link[] = []
  for (const { entry, headSeq, headHash } of rows) {
    const chain = chainOf(entry)
    const stored = headSeq === null || headHash === null ? GENESIS : { seq: headSeq, hash: headHash, entryId: 0 }
    const link = await linkAfter(scope.config.keyring, heads.get(chain) ?? stored, entry)
    heads.set(chain, link)
    links.push(link)
  }
  return { through: rows[0]?.sealedThrough ?? 0, links }
}

/**
 * Writes the plan in one transaction, or nothing when another sealer was faster; answers how many links it wrote.
 * So sealers need no lock, and one that dies leaves nothing half done.
 */
export async function appendLinks(scope: Pick<Scope, 'db' | 'now'>, { through, links }: SealPlan): Promise<number> {
  if (links.length === 0) return 0
  const chains = [...new Set(links.map((link) => link.chain))]
  const [written] = await scope.db.batch([
    insertLinks(scope.db, links, through),
    markGrown(scope.db, chains, scope.now() + CHECKPOINT_EVERY_MS),
  ])
  return written.meta.changes
}

/** Seals what waits, oldest first. Any number may run at once: of each position, one of them continues the chains. */
export async function sealPending(scope: Pick<Scope, 'config' | 'db' | 'now'>, passesMax = PASSES_SWEEP_MAX): Promise<number> {
  let sealed = 0
  for (let pass = 0; pass < passesMax; pass++) {
    const plan = await planLinks(scope)
    if (plan.links.length === 0) break
    sealed += await appendLinks(scope, plan)
  }
  return sealed
}

/** When this isolate's next pass begins, Unix milliseconds. */
let nextPassAt = 0

/**
 * Sees to it that an entry about to be committed is sealed half a second to a second from now. Entries of that time share one pass.
 * Nothing waits for it; if the isolate dies first, or the batch takes longer, the sweep of the next minute seals it.
 */
export function sealSoon(scope: Scope): void {
  const now = scope.now()
  const waitMs = nextPassAt - now
  if (waitMs >= SETTLE_MS && waitMs <= 2 * SETTLE_MS) return
  nextPassAt = now + 2 * SETTLE_MS
  scope.waitUntil(sealLater(scope))
}

async function sealLater({ env, config, now, log }: Scope): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2 * SETTLE_MS))
  try {
    // Read at the primary: the request's own session may look at a replica that has not heard of the entry.
    await sealPending({ config, now, db: openDb(env.DB, undefined).db }, PASSES_SOON_MAX)
  } catch (error) {
    log('audit.seal-failed', describeError(error))
  }
}
