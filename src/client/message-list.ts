import type { MessageEvent } from '../contract/room-messages.ts'

/** Who reacted to a message by one emoji. */
export interface Reaction {
  readonly emoji: string
  readonly userIds: readonly string[]
}

/** A message as it stands now. */
export interface Message {
  /** Its number, by which it is edited, deleted, replied and reacted to. */
  readonly seq: number
  /** What its sender called it; the same before and after it was stored. */
  readonly cid: string
  readonly userId: string
  /** When it was taken, Unix milliseconds. */
  readonly at: number
  /** Empty once it was deleted. */
  readonly text: string
  /** Number of the message it answers. */
  readonly replyTo: number | undefined
  readonly isEdited: boolean
  readonly isDeleted: boolean
  /** In the order in which each was first used. */
  readonly reactions: readonly Reaction[]
}

/** Folds events into messages. */
export interface MessageList {
  /** The messages, oldest first; the same array until something changes. */
  readonly all: () => readonly Message[]
  /** Takes an event in; answers whether it is new. */
  readonly apply: (event: MessageEvent) => boolean
  /** Puts what came before all that is known in front of it. */
  readonly prepend: (events: readonly MessageEvent[]) => void
  readonly clear: () => void
  /** How long messages are shown; null for ever. */
  readonly keepFor: (ttlSeconds: number | null) => void
  /** Drops what has expired; answers when the next one does, Unix milliseconds. */
  readonly expire: (now: number) => number | undefined
}

/** Changes of unknown messages that are remembered, the newest. */
const ORPHANS_MAX = 10_000

/** Makes an empty list. */
export function createMessageList(): MessageList {
  const messages = new Map<number, Message>()
  /** Changes of messages that are not known: they count once those are. */
  let orphans: Change[] = []
  let ttlMs = Number.POSITIVE_INFINITY
  let shown: readonly Message[] | undefined
  let appliedSeq = 0

  function change(event: Change): void {
    const message = messages.get(event.message)
    if (message) messages.set(event.message, { ...message, ...changeOf(message, event) })
    else orphans.push(event)
    if (orphans.length > ORPHANS_MAX) orphans.shift()
  }

  function take(event: MessageEvent): void {
    if (event.kind === 'post') messages.set(event.seq, messageOf(event))
    else change(event)
  }

  return {
    all() {
      shown ??= [...messages.values()]
      return shown
    },
    apply(event) {
      if (event.seq <= appliedSeq) return false
      appliedSeq = event.seq
      shown = undefined
      take(event)
      return true
    },
    prepend(events) {
      const known = [...messages]
      const waiting = orphans.toSorted((a, b) => a.seq - b.seq)
      messages.clear()
      orphans = []
      shown = undefined
      for (const event of events) take(event)
      for (const event of waiting) change(event)
      for (const [seq, message] of known) messages.set(seq, message)
    },
    clear() {
      messages.clear()
      orphans = []
      shown = undefined
      appliedSeq = 0
    },
    keepFor(seconds) {
      ttlMs = seconds === null ? Number.POSITIVE_INFINITY : seconds * 1000
    },
    expire(now) {
      for (const { seq, at } of messages.values()) {
        if (at + ttlMs > now) return Number.isFinite(ttlMs) ? at + ttlMs : undefined
        messages.delete(seq)
        shown = undefined
      }
      return undefined
    },
  }
}

type Change = Exclude<MessageEvent, { readonly kind: 'post' }>

/** A post whose text is gone was deleted before it came here. */
const messageOf = ({ seq, cid, userId, at, text, replyTo }: MessageEvent & { readonly kind: 'post' }): Message => ({
  seq,
  cid,
  userId,
  at,
  text,
  replyTo,
  isEdited: false,
  isDeleted: text === '',
  reactions: [],
})

function changeOf(message: Message, event: Change): Partial<Message> {
  if (event.kind === 'edit') return event.text === '' ? {} : { text: event.text, isEdited: true }
  if (event.kind === 'delete') return { text: '', isDeleted: true, reactions: [] }
  if (message.isDeleted) return {}
  const { emoji, userId } = event
  const before = message.reactions.find((reaction) => reaction.emoji === emoji)?.userIds ?? []
  const others = before.filter((id) => id !== userId)
  const after = { emoji, userIds: event.kind === 'react' ? [...others, userId] : others }
  if (before.length === 0) return { reactions: [...message.reactions, after].filter(isUsed) }
  return { reactions: message.reactions.map((reaction) => (reaction.emoji === emoji ? after : reaction)).filter(isUsed) }
}

const isUsed = ({ userIds }: Reaction): boolean => userIds.length > 0
