import { openDb } from '../platform/db.ts'
import { describeError } from '../platform/log.ts'
import { applyRole, expel } from './exchange.ts'
import { isOver, type LiveShell, logOf } from './live.ts'
import { mayOperate } from './policy.ts'
import { useOf } from './policy-store.ts'
import type { EndOrder } from './rpc.ts'
import { standingOf, type Watcher } from './store.ts'

/** Roles and sessions are looked up this often while somebody watches; a change that is told of acts at once. */
export const CHECK_MS = 60_000

/** Ends a shell whose opener may not act on hosts any more. */
export const OPENER_LEFT: EndOrder = { reason: 'Its opener may not use this host any more.', actorId: null }

/** A session is its user's: the same id under another name is another one, and dead. */
const nameOf = ({ userId, sessionId }: Watcher): string => `${userId} ${sessionId}`

/**
 * Looks up everybody who watches, and the opener: sockets of ended sessions and of strangers close. Answers whether the shell may go on.
 * When D1 is out nothing changes: tokens run out within minutes in any case.
 */
export async function checkStanding(live: LiveShell): Promise<boolean> {
  const { record, hub } = live
  live.checkedAt = Date.now()
  const people: Watcher[] = [...hub.sockets().map((socket) => hub.viewerOf(socket)), { userId: record.userId, sessionId: '' }]
  const asked = people.map(({ userId, sessionId }) => ({ userId, sessionId }))
  try {
    const rows = await standingOf(openDb(live.env.DB, undefined).db, { orgId: record.orgId, now: Date.now() }, asked)
    for (const { userId, role } of rows) applyRole(live, userId, role)
    const dead = new Set(rows.filter((row) => !row.isSessionLive).map(nameOf))
    for (const socket of hub.sockets()) if (dead.has(nameOf(hub.viewerOf(socket)))) expel(live, socket, 'session-ended')
    const opener = rows.find((row) => row.userId === record.userId)
    if (isOver(live) || opener === undefined) return true
    return mayOperate(opener.role) && (await mayReach(live))
  } catch (error) {
    logOf(live)('shell.check-failed', describeError(error))
    return true
  }
}

/** Approvals run out without anybody's doing, and a policy changes for what goes on too. A host that is gone is looked after elsewhere. */
async function mayReach({ env, record, keeper }: LiveShell): Promise<boolean> {
  const hostId = keeper?.recorder.state().hostId
  if (!hostId) return true
  const [reach] = await useOf(openDb(env.DB, undefined).db, { hostId, userId: record.userId, use: 'shell', now: Date.now() })
  return !reach || (Boolean(reach.isUsed) && (Boolean(reach.byRule) || reach.grantedUntil !== null))
}
