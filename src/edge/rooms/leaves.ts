import type { Env } from '../env.ts'
import { readConfig } from '../platform/config.ts'
import { describeError, type Log, logFor } from '../platform/log.ts'
import { type LeafLedger, openLeafLedger } from './leaf-ledger.ts'
import type { Order } from './leaf-words.ts'
import { type Link, openLink } from './link.ts'
import type { FarPeer } from './peer.ts'
import type { Place } from './place.ts'
import { isSpread, leavesFor } from './policy.ts'

/** A leaf that had nothing to do for this long is at rest: nothing of its sockets is in doubt, whatever happens to this object. */
const REST_MS = 1_000

/** A socket that a leaf kept while this object's memory was gone. */
export interface Resumed {
  readonly peer: FarPeer
  readonly place: Place
  /** Whether something may be missing of what it sent or should have got. */
  readonly isDoubtful: boolean
}

/** The objects that hold sockets for a room that has outgrown its own. */
export interface Leaves {
  /** Over how many leaves newcomers spread; none while the room bears them itself. */
  readonly spread: (sockets: number) => number
  /** Has every leaf do something. */
  readonly cast: (order: Order, bytes: number) => void
  /** Called in the turn in which something is stored that leaves are told later. */
  readonly brace: () => void
  readonly link: (leaf: number) => Link
  /** How many hold sockets. */
  readonly count: () => number
  /** How many frames the busiest of all objects sends for one that goes to everybody. */
  readonly burden: (near: number) => number
  /** Whether there were any when the memory went. */
  readonly isKnown: () => boolean
  /** Takes up what leaves hold. */
  readonly resume: () => Promise<readonly Resumed[]>
  /** Resolves when leaves know all that they were told. @throws Error when one cannot be reached */
  readonly carried: () => Promise<void>
  /** Asks leaves that are at rest for a sign of life: one that died holds nothing any more. */
  readonly probe: () => void
}

/** What leaves need of their room. */
interface LeavesParts {
  readonly ctx: DurableObjectState
  readonly env: Env
  /** Whether nothing waits to be stored and told. */
  readonly isSettled: () => boolean
  readonly onLost: (peers: readonly FarPeer[]) => void
  /** The room has outgrown its own object. */
  readonly onSpread: () => void
}

/** How a leaf of a room is named. */
export const leafName = (roomId: string, leaf: number): string => `${roomId}.${leaf}`

/** A link, and when it last had something to do while it is not at rest. */
interface Kept {
  readonly link: Link
  busyAt: number | undefined
}

/** Opens the links to a room's leaves. */
export function openLeaves({ ctx, env, isSettled, onLost, onSpread }: LeavesParts): Leaves {
  const roomId = ctx.id.name ?? ctx.id.toString()
  const { above, socketsMax } = readConfig(env).roomLeaves
  const ledger = openLeafLedger(ctx.storage)
  const links = new Map<number, Kept>()
  const answers = { bytes: 0 }
  const calls = { bytes: 0 }
  const log = logFor(undefined, { roomId })
  const noteBusy = watchRest({ ledger, links, isSettled })
  const seated = () => [...links.values()].filter(({ link: { peers } }) => peers.size > 0)

  function link(leaf: number): Link {
    const known = links.get(leaf)
    if (known) return known.link
    const opened = openLink({
      leaf,
      stub: () => env.LEAVES.getByName(leafName(roomId, leaf)),
      nextLink: ledger.nextLink,
      answers,
      calls,
      onBusy: () => noteBusy(leaf),
      onFailed: (error) => log('room.leaf-lost', { leaf, ...describeError(error) }),
      onLost,
    })
    links.set(leaf, { link: opened, busyAt: undefined })
    return opened
  }

  function spread(sockets: number): number {
    const wasSpread = ledger.isSpread()
    const isNow = isSpread(sockets, { above, wasSpread })
    if (isNow !== wasSpread) {
      ledger.noteSpread(isNow)
      if (isNow) onSpread()
      log(isNow ? 'room.spread' : 'room.gathered', { sockets })
    }
    return isNow ? leavesFor(sockets, socketsMax) : 0
  }

  return {
    spread,
    cast(order, bytes) {
      for (const { link: to } of seated()) to.give(order, bytes)
    },
    brace() {
      for (const { link: to } of seated()) to.noteBusy()
    },
    link,
    count: () => seated().length,
    burden: (near) => Math.max(near + links.size, ...seated().map(({ link: { peers } }) => peers.size)),
    isKnown: () => ledger.list().length > 0,
    resume: async () => (await Promise.all(ledger.list().map(({ leaf, isBusy }) => resumeOne(link(leaf), { isBusy, log })))).flat(),
    async carried() {
      await Promise.all([...links.values()].map(({ link: to }) => to.carried()))
    },
    probe() {
      for (const { link: to, busyAt } of links.values()) if (busyAt === undefined) to.give({ kind: 'document', frames: [] })
    },
  }
}

async function resumeOne(link: Link, { isBusy, log }: { readonly isBusy: boolean; readonly log: Log }): Promise<readonly Resumed[]> {
  try {
    const held = await link.resume()
    if (held.length === 0) link.noteBusy()
    return held.map((socket) => ({ ...socket, isDoubtful: isBusy }))
  } catch (error) {
    log('room.leaf-lost', { leaf: link.leaf, ...describeError(error) })
    link.cut()
    return []
  }
}

/** Keeps the ledger of what is busy. It is written together with what is to be told, so a crash between the two cannot hide it. */
function watchRest({
  ledger,
  links,
  isSettled,
}: { readonly ledger: LeafLedger; readonly links: Map<number, Kept> } & Pick<LeavesParts, 'isSettled'>): (leaf: number) => void {
  let timer: ReturnType<typeof setTimeout> | undefined

  function look(): void {
    timer = undefined
    const now = Date.now()
    for (const [leaf, kept] of links) {
      if (kept.busyAt === undefined) continue
      if (!kept.link.isIdle() || !isSettled() || now - kept.busyAt < REST_MS) watch()
      else rest(leaf, kept)
    }
  }

  function rest(leaf: number, kept: Kept): void {
    kept.busyAt = undefined
    if (kept.link.peers.size > 0) return ledger.noteRest(leaf)
    links.delete(leaf)
    ledger.forget(leaf)
  }

  function watch(): void {
    if (timer === undefined) timer = setTimeout(look, REST_MS)
  }

  return (leaf) => {
    const kept = links.get(leaf)
    if (kept?.busyAt === undefined) ledger.noteBusy(leaf)
    if (kept) kept.busyAt = Date.now()
    watch()
  }
}
