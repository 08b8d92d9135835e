import type { UserId } from '../../contract/identity.ts'
import type { Env } from '../env.ts'
import { describeError } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { peersOf } from '../rooms/service.ts'
import type { Standing, Word } from './company.ts'
import type { Inbox } from './exchange.ts'

/** A word counts this much longer than the token behind it, since sockets are closed on a grid of a minute. */
const SLACK_MS = 120_000

/** An inbox and where its words go. */
export interface Meeting {
  readonly ctx: Pick<DurableObjectState, 'waitUntil'>
  readonly env: Env
  readonly inbox: Inbox
}

/** Whoever is incognito on any socket is seen on none. */
function standingOf({ listeners, registry }: Inbox, now: number): { readonly standing: Standing; readonly until: number } {
  const sights = listeners.sights(now)
  if (sights.length === 0) return { standing: 'away', until: 0 }
  const isHidden = registry.isIncognito(now) || sights.some(({ sight }) => sight === 'incognito')
  return { standing: isHidden ? 'incognito' : 'shown', until: Math.max(...sights.map(({ expiresAt }) => expiresAt)) + SLACK_MS }
}

/** The time of a look, so that many share one alarm. */
const LOOK_GRID_MS = 60_000

/** Brings what the others know in line with where the user stands; answers when to look again. */
export function settle(meeting: Meeting, now: number): number | undefined {
  const { inbox } = meeting
  const { off, next } = inbox.company.prune(now)
  tellEdges(inbox, { on: [], off }, now)
  const current = standingOf(inbox, now)
  const settlement = inbox.company.weigh(current, now)
  if (settlement.kind === 'tell') tell(meeting, current)
  const look = next === undefined ? undefined : Math.ceil(next / LOOK_GRID_MS) * LOOK_GRID_MS
  return settlement.kind === 'wait' ? Math.min(settlement.until, look ?? settlement.until) : look
}

/** Looks anew at who the user shares a room with. */
export function reviewPeers(meeting: Meeting): void {
  const { standing } = meeting.inbox.company.own()
  const { until } = standingOf(meeting.inbox, Date.now())
  if (standing !== 'away') tell(meeting, { standing, until })
}

/** Says farewell to everybody. */
export function sayFarewell(meeting: Meeting): void {
  tell(meeting, { standing: 'away', until: 0 })
}

/** Takes in a word of another inbox; the answer is where this user stands, to those who are kept. */
export function hearWord({ userId, company, ...inbox }: Inbox, word: Word, now: number): Word {
  const { isKept, edge } = company.hear(word, now)
  if (edge) tellEdges(inbox, { on: [], off: [], [edge]: [word.userId] }, now)
  const own = company.own()
  return { userId, ...own, standing: isKept ? own.standing : 'away' }
}

function tellEdges(
  { listeners }: Pick<Inbox, 'listeners'>,
  { on, off }: { readonly on: readonly UserId[]; readonly off: readonly UserId[] },
  now: number,
): void {
  if (on.length + off.length > 0) listeners.tell({ type: 'presence', isWhole: false, on: [...on], off: [...off] }, now)
}

/** The word is taken as said at once; it goes round in the background. What does not arrive is made good by the next or runs out. */
function tell(meeting: Meeting, { standing, until }: { readonly standing: Standing; readonly until: number }): void {
  const { ctx, env, inbox } = meeting
  const word: Word = { userId: inbox.userId, ...inbox.company.take(standing, until) }
  const scope = objectScope(ctx, env, null)
  ctx.waitUntil(goRound(meeting, word).catch((error: unknown) => scope.log('inbox.presence-failed', describeError(error))))
}

async function goRound({ ctx, env, inbox }: Meeting, word: Word): Promise<void> {
  const scope = objectScope(ctx, env, null)
  const { company, userId } = inbox
  // Who is heard of while D1 answers may have become a peer since.
  const known = company.known()
  const peers = new Set(word.standing === 'away' ? [] : await peersOf(scope, userId))
  // Who is a peer no more, and everybody when the user leaves, hears a farewell.
  const others = known.filter((id) => !peers.has(id))
  const words = await Promise.allSettled([
    ...[...peers].map((id) => env.INBOXES.getByName(id).meet(word)),
    ...others.map((id) => env.INBOXES.getByName(id).meet({ ...word, standing: 'away' })),
  ])
  for (const { reason } of words.filter((outcome) => outcome.status === 'rejected')) {
    scope.log('inbox.presence-failed', describeError(reason))
  }
  takeAnswers(inbox, {
    answers: words.slice(0, peers.size).flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])),
    // A later word has gone its own round.
    others: company.own().turn === word.turn ? others : [],
  })
}

function takeAnswers(inbox: Inbox, { answers, others }: { readonly answers: readonly Word[]; readonly others: readonly UserId[] }): void {
  const now = Date.now()
  const edges = answers.map((answer) => ({ id: answer.userId, edge: inbox.company.hear(answer, now).edge }))
  const of = (which: 'on' | 'off') => edges.flatMap(({ id, edge }) => (edge === which ? [id] : []))
  const gone = others.filter((id) => inbox.company.forget(id))
  tellEdges(inbox, { on: of('on'), off: [...of('off'), ...gone] }, now)
}
