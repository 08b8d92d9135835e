import { CHECKPOINT_CHARS_MAX, CheckpointClaims } from '../../contract/audit.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db.ts'
import type { Chain, Head } from './link.ts'
import type { Anchor } from './policy.ts'
import { readStatement, signStatement } from './signing.ts'
import { checkpointsOf } from './store.ts'

const TYP = 'audit-checkpoint+jwt'
/** Junk above the newest genuine checkpoint is named well before this many. */
const STORED_MAX = 5

/** States in writing what a chain is now. */
export function signCheckpoint(
  config: Config,
  chain: Chain,
  at: { readonly head: Head; readonly now: number },
): Promise<{ readonly kid: string; readonly signed: string }> {
  const { seq, entryId, hash } = at.head
  return signStatement(config, { typ: TYP, claims: { chain, seq, entryId, hash }, now: at.now })
}

/** What a chain was, by a text that we have signed; nothing when we have not, or no longer hold the secret behind its key. */
export async function readCheckpoint(config: Config, chain: Chain, signed: string): Promise<CheckpointClaims | undefined> {
  if (signed.length > CHECKPOINT_CHARS_MAX) return undefined
  const claims = CheckpointClaims.safeParse(await readStatement(config, { typ: TYP, signed })).data
  return claims?.chain === chain ? claims : undefined
}

/** An anchor that was stored; a genuine one is also a place to walk on from. */
export interface StoredAnchor extends Anchor {
  readonly head: Head | null
}

/**
 * The newest genuine checkpoint that is stored, and whatever stands above it: older ones follow from it by the hashes.
 * One whose secret was dropped from the list too early counts as forged, or junk above a genuine one would hide it.
 */
export async function anchorsOf(keeper: { readonly config: Config; readonly db: Db }, chain: Chain): Promise<readonly StoredAnchor[]> {
  const anchors: StoredAnchor[] = []
  for (const stored of await checkpointsOf(keeper.db, chain, { limit: STORED_MAX })) {
    const claims = await readCheckpoint(keeper.config, chain, stored.signed)
    if (claims?.seq === stored.seq && claims.hash === stored.hash) {
      return [...anchors, { seq: stored.seq, hash: stored.hash, head: claims }]
    }
    anchors.push({ seq: stored.seq, hash: null, head: null })
  }
  return anchors
}
