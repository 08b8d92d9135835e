import { PAGE_ITEMS_MAX } from '../contract/id.ts'
import { Problem } from '../contract/problem.ts'
import type { LiveClientFrame, LiveCursor, LiveServerFrame } from '../contract/room-live.ts'
import { MessageAction, type MessageEvent, type MessagePage } from '../contract/room-messages.ts'
import { randomHex } from './exchange.ts'
import { createMessageList, type Message, type MessageList } from './message-list.ts'
import { createOutbox, type Outbox, type Pending, type Sent } from './outbox.ts'

/** A room's messages as they stand. */
export interface MessagesState {
  /** Oldest first, with edits, deletions and reactions applied. */
  readonly items: readonly Message[]
  /** What was published here and is not stored yet, in order. */
  readonly pending: readonly Pending[]
  /** Who is writing a message, oneself left out. */
  readonly typists: readonly string[]
  /** How far each user has read. */
  readonly reads: Readonly<Record<string, number>>
  /** Whether nothing is missing that the room had when the connection was made. */
  readonly isCaughtUp: boolean
  /** Whether the room keeps messages from before these. */
  readonly hasOlder: boolean
}

/** A room's messages: what one may do with them. Each act is carried out once, in order, through any number of disconnects. */
export interface Messages {
  /** The same object until something changes. */
  readonly state: MessagesState
  /** Up to where events are known. */
  readonly cursor: LiveCursor | undefined
  /** Resolves once it is on the service's disk. @throws Problem `forbidden` for a viewer; ClosedError */
  readonly post: (text: string, options?: { readonly replyTo?: number | undefined }) => Promise<Sent>
  /** Changes one's own message. @throws Problem `forbidden` or `not-found`; ClosedError */
  readonly edit: (message: number, text: string) => Promise<Sent>
  /** Takes one's own message away, or anybody's as an owner. @throws Problem `forbidden` or `not-found`; ClosedError */
  readonly delete: (message: number) => Promise<Sent>
  /** @throws Problem `forbidden` or `not-found`; ClosedError */
  readonly react: (message: number, emoji: string) => Promise<Sent>
  /** @throws Problem `forbidden` or `not-found`; ClosedError */
  readonly unreact: (message: number, emoji: string) => Promise<Sent>
  /** Puts older messages before the list, as many events at a time as it began with. Rejects as `listRoomMessages` does; one call at a time, others share it. */
  readonly loadOlder: () => Promise<void>
  /** Tells that everything up to a message is read. */
  readonly markRead: (seq: number) => void
  /** Tells that a message is being written; call it with every key, it is told every three seconds. */
  readonly typing: () => void
}

/** What following messages needs. */
export interface MessagesParts {
  readonly send: (frame: LiveClientFrame) => boolean
  /** How many messages to begin with, where nothing is known yet. */
  readonly history: number
  readonly since: LiveCursor | undefined
  /** Reads what came before an event. */
  readonly readBefore: (cursor: LiveCursor, limit: number) => Promise<Pick<MessagePage, 'epoch' | 'firstSeq' | 'recovered' | 'items'>>
  readonly onEvent: (event: MessageEvent) => void
  readonly onChange: (state: MessagesState) => void
  /** Some events can never be told any more, so the list starts anew. */
  readonly onGap: () => void
}

type Frame<T extends LiveServerFrame['type']> = Extract<LiveServerFrame, { readonly type: T }>

/** The side of it that the room's connection knows. */
export interface Correspondence {
  readonly face: Messages
  readonly outbox: Outbox
  /** Where to go on from. */
  readonly subscription: () => LiveClientFrame
  readonly open: (userId: string) => void
  readonly begin: (frame: Frame<'subscribed'>) => void
  readonly take: (events: readonly MessageEvent[]) => void
  readonly noteRead: (frame: Frame<'read'>) => void
  readonly noteTypist: (userId: string) => void
  readonly lose: () => void
  readonly end: (cause: Error) => void
}

interface State {
  readonly parts: MessagesParts
  readonly list: MessageList
  readonly typists: Map<string, ReturnType<typeof setTimeout>>
  readonly reads: Map<string, number>
  cursor: LiveCursor | undefined
  newest: number | undefined
  /** The first event that is known here; nothing where the list has not begun. */
  oldest: number | undefined
  loading: Promise<void> | undefined
  userId: string | undefined
  /** How far the user has read, as far as this client knows. */
  readTo: number
  typedAt: number
  shown: MessagesState
  /** Whether changes are gathered, to be told as one. */
  isGathering: boolean
  expiry: ReturnType<typeof setTimeout> | undefined
}

const TYPING_REPEAT_MS = 3_000
/** Who has not said for this long that they write has stopped. */
const TYPING_MS = 5_000
/** Timers know no longer delay. */
const TIMER_MS_MAX = 2_147_483_647

/** Starts with no message known. */
export function followMessages(parts: MessagesParts): Correspondence {
  const s: State = {
    parts,
    list: createMessageList(),
    typists: new Map(),
    reads: new Map(),
    cursor: parts.since,
    newest: undefined,
    oldest: undefined,
    loading: undefined,
    userId: undefined,
    readTo: 0,
    typedAt: 0,
    shown: { items: [], pending: [], typists: [], reads: {}, isCaughtUp: false, hasOlder: false },
    isGathering: false,
    expiry: undefined,
  }
  const outbox = createOutbox({
    send: ({ cid, action }) => parts.send({ type: 'publish', cid, action }),
    changed: () => change(s, { pending: outbox.pending() }),
  })
  return {
    face: faceOf(s, async (action) => {
      // What the room refuses without reading its name would stand in the way of all that follows.
      const { error } = MessageAction.safeParse(action)
      if (error) throw new Problem('invalid-request', { detail: error.issues[0]?.message ?? 'No such message.' })
      return outbox.publish(randomHex(16), action)
    }),
    outbox,
    subscription: () => ({ type: 'subscribe', stream: 'messages', last: parts.history, ...(s.cursor ? { since: s.cursor } : {}) }),
    open(userId) {
      s.userId = userId
      outbox.open()
      if (s.readTo > 0) parts.send({ type: 'read', seq: s.readTo })
    },
    begin: (frame) => begin(s, frame),
    take: (events) => take(s, outbox, events),
    noteRead({ userId, seq }) {
      s.reads.set(userId, seq)
      change(s, { reads: Object.fromEntries(s.reads) })
    },
    noteTypist: (userId) => noteTypist(s, userId),
    lose() {
      outbox.lose()
      s.newest = undefined
      for (const userId of [...s.typists.keys()]) forgetTypist(s, userId)
      change(s, { isCaughtUp: false })
    },
    end(cause) {
      outbox.end(cause)
      clearTimeout(s.expiry)
      for (const timer of s.typists.values()) clearTimeout(timer)
    },
  }
}

function faceOf(s: State, publish: (action: MessageAction) => Promise<Sent>): Messages {
  return {
    get state() {
      return s.shown
    },
    get cursor() {
      return s.cursor
    },
    post: (text, { replyTo } = {}) => publish({ kind: 'post', text, ...(replyTo === undefined ? {} : { replyTo }) }),
    edit: (message, text) => publish({ kind: 'edit', message, text }),
    delete: (message) => publish({ kind: 'delete', message }),
    react: (message, emoji) => publish({ kind: 'react', message, emoji }),
    unreact: (message, emoji) => publish({ kind: 'unreact', message, emoji }),
    loadOlder() {
      s.loading ??= loadOlder(s).finally(() => {
        s.loading = undefined
      })
      return s.loading
    },
    markRead(seq) {
      if (seq <= s.readTo) return
      s.readTo = seq
      s.parts.send({ type: 'read', seq })
    },
    typing() {
      const now = Date.now()
      if (now - s.typedAt >= TYPING_REPEAT_MS && s.parts.send({ type: 'typing' })) s.typedAt = now
    },
  }
}

function change(s: State, news: Partial<MessagesState>): void {
  s.shown = { ...s.shown, ...news }
  if (!s.isGathering) s.parts.onChange(s.shown)
}

/** Shows the list as it is now, and again when the next message expires. */
function showList(s: State, news: Partial<MessagesState> = {}): void {
  clearTimeout(s.expiry)
  const now = Date.now()
  const next = s.list.expire(now)
  if (next !== undefined) s.expiry = setTimeout(() => showList(s), Math.min(next - now, TIMER_MS_MAX))
  const isCaughtUp = s.newest !== undefined && s.cursor !== undefined && s.cursor.seq >= s.newest
  change(s, { items: s.list.all(), isCaughtUp, ...news })
}

/** The events to catch up with follow, from the place that the room has reckoned in the same way. */
function begin(s: State, { epoch, seq = 0, firstSeq = 1, recovered = true, ttlSeconds = null, reads = {} }: Frame<'subscribed'>): void {
  if (epoch === undefined) return
  const isAnew = !s.cursor || !recovered
  const hadSome = s.cursor !== undefined
  if (isAnew) {
    s.list.clear()
    s.oldest = undefined
    s.cursor = { epoch, seq: Math.max(firstSeq - 1, seq - s.parts.history) }
  }
  s.oldest ??= (s.cursor?.seq ?? seq) + 1
  s.newest = seq
  s.reads.clear()
  for (const [userId, upTo] of Object.entries(reads)) s.reads.set(userId, upTo)
  s.readTo = Math.max(s.readTo, s.reads.get(s.userId ?? '') ?? 0)
  s.list.keepFor(ttlSeconds)
  if (isAnew && hadSome) s.parts.onGap()
  showList(s, { reads: Object.fromEntries(s.reads), hasOlder: s.oldest > firstSeq })
}

/** What is read while the list begins anew is of no use to it. */
async function loadOlder(s: State): Promise<void> {
  const { oldest, cursor } = s
  if (oldest === undefined || !cursor || !s.shown.hasOlder) return
  const { epoch, firstSeq, recovered, items } = await s.parts.readBefore(
    { epoch: cursor.epoch, seq: oldest },
    Math.min(Math.max(s.parts.history, 1), PAGE_ITEMS_MAX),
  )
  if (s.oldest !== oldest || s.cursor?.epoch !== epoch) return
  s.list.prepend(items)
  s.oldest = items[0]?.seq ?? oldest
  showList(s, { hasOlder: recovered && items.length > 0 && s.oldest > firstSeq })
}

function take(s: State, outbox: Outbox, events: readonly MessageEvent[]): void {
  const news = events.filter((event) => s.list.apply(event))
  const last = events.at(-1)
  if (s.cursor && last) s.cursor = { ...s.cursor, seq: Math.max(s.cursor.seq, last.seq) }
  // One change: a message is never both pending and stored, nor neither.
  s.isGathering = true
  for (const { userId, kind } of news) if (kind === 'post') forgetTypist(s, userId)
  for (const event of events) if (event.userId === s.userId) outbox.acknowledge(event)
  s.isGathering = false
  showList(s)
  for (const event of news) s.parts.onEvent(event)
}

const typistsOf = ({ typists }: State): readonly string[] => [...typists.keys()]

function forgetTypist(s: State, userId: string): void {
  clearTimeout(s.typists.get(userId))
  if (s.typists.delete(userId)) change(s, { typists: typistsOf(s) })
}

function noteTypist(s: State, userId: string): void {
  if (userId === s.userId) return
  const isNews = !s.typists.has(userId)
  clearTimeout(s.typists.get(userId))
  s.typists.set(
    userId,
    setTimeout(() => forgetTypist(s, userId), TYPING_MS),
  )
  if (isNews) change(s, { typists: typistsOf(s) })
}
