import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import type { UserId } from '../contract/identity.ts'
import { Problem } from '../contract/problem.ts'
import { type LiveClientFrame, type LiveCursor, type LiveServerFrame, LiveStream } from '../contract/room-live.ts'
import type { MessageEvent } from '../contract/room-messages.ts'
import type { RoomRole } from '../contract/rooms.ts'
import type { Door } from './door.ts'
import { createEmitter, type Emitter, type Listener } from './emitter.ts'
import { ClosedError } from './failure.ts'
import { type Correspondence, followMessages, type Messages, type MessagesParts, type MessagesState } from './messages.ts'
import { createNames, type Names, type NamesParts } from './names.ts'
import { createPeople, type People, type PresenceState, type ShownState } from './people.ts'
import { openRoomSocket, type RoomSocket, type Told } from './room-socket.ts'
import { type SharedDocument, shareDocument } from './shared-document.ts'
import type { SocketStatus } from './socket.ts'

/** How to join a room. */
export interface JoinOptions {
  /** What to take part in; everything if left out. */
  readonly streams?: readonly LiveStream[] | undefined
  /** The document to share; a new one if left out. What is in it already is merged into the room's. */
  readonly doc?: Y.Doc | undefined
  /** Who edits the document and where; a new one if left out. An empty state is not shown to others. */
  readonly awareness?: Awareness | undefined
  /** How many messages to begin with: 50 if left out, 500 at most. */
  readonly history?: number | undefined
  /** Where an earlier visit ended, as {@link Messages.cursor} told: the messages begin after it. */
  readonly since?: LiveCursor | undefined
  /** Take part without being seen: no presence, no typing, no read marker. */
  readonly incognito?: boolean | undefined
  /** Open the socket by a single-use ticket instead of the bearer token; always so in cookie mode. */
  readonly ticket?: boolean | undefined
}

/** Something that was only good at its moment. */
export interface Signal {
  readonly userId: UserId
  readonly data: unknown
}

/** What a room tells. */
export interface RoomEvents {
  readonly status: SocketStatus
  /** What this seat may do: told when the room lets it in, and when that changes. */
  readonly role: RoomRole
  /** The document holds all that the room's does. Told after each reconnect too. */
  readonly synced: undefined
  /** All changes made here are stored. Told once per burst of changes. */
  readonly saved: undefined
  /** The messages changed. */
  readonly messages: MessagesState
  /** One event of the messages as it came: a post, or a change of one. */
  readonly message: MessageEvent
  /** Events were missed that the room keeps no more: the list of messages starts anew. */
  readonly gap: undefined
  /** Who is here changed. */
  readonly presence: PresenceState
  /** More is known of what members are called. */
  readonly names: undefined
  readonly signal: Signal
  /**
   * `Problem forbidden`: this seat may only read, so changes made here stay here. Any error once the status is `closed`: the
   * room is over for this client. Else a frame was refused, or an update or an observer of the document failed.
   */
  readonly problem: Error
}

/** Who is here, by person. */
export interface RoomPresence {
  /** The same object until something changes. */
  readonly state: PresenceState
  /** Shows something of oneself to everybody here, at most 4 KiB of JSON; call it as often as it changes. */
  readonly show: (state: ShownState) => void
}

/** One's place in a room: a shared document, its messages and who else is here, on one socket that survives every disconnect. */
export interface Room {
  readonly id: string
  readonly status: SocketStatus
  /** Who one is there; nothing before the room has let this client in. */
  readonly userId: UserId | undefined
  /** What one may do there. */
  readonly role: RoomRole | undefined
  readonly doc: Y.Doc
  /** Who edits the document and where, as editors show it. */
  readonly awareness: Awareness
  readonly isSynced: boolean
  /** Whether changes of the document made here are not known to be stored. */
  readonly hasUnsaved: boolean
  readonly messages: Messages
  readonly presence: RoomPresence
  /** What a member is called, here or not; nothing for who has no seat or has not said. Learned when first asked: then `names` is told. */
  readonly nameOf: (userId: string) => string | undefined
  /** Sends something that is only good now, to everybody or to one user; answers whether there was a connection. */
  readonly signal: (data: unknown, to?: string) => boolean
  /** Listens until the returned function is called. */
  readonly on: <K extends keyof RoomEvents>(name: K, listener: Listener<RoomEvents[K]>) => () => void
  /**
   * Resolves once the document holds all that the room's does.
   *
   * @throws Problem `unauthenticated`, `session-ended`, `not-found`, `payload-too-large` or `invalid-request` when the room is over for this client
   * @throws ClosedError after {@link Room.close}, or in a room joined without its document
   */
  readonly whenSynced: () => Promise<void>
  /**
   * Resolves once everything changed here so far is on the service's disk; waits through disconnects.
   *
   * @throws Problem `forbidden` when this seat may only read; those of {@link Room.whenSynced}
   * @throws ClosedError as {@link Room.whenSynced}
   */
  readonly saved: () => Promise<void>
  /** Leaves. Changes that were not saved stay in the document only; messages that were not stored are given up. */
  readonly close: () => void
}

interface State {
  readonly id: string
  readonly events: Emitter<RoomEvents>
  readonly streams: readonly LiveStream[]
  readonly shared: SharedDocument
  readonly correspondence: Correspondence
  readonly people: People
  readonly names: Names
  status: SocketStatus
  userId: UserId | undefined
  role: RoomRole | undefined
}

const HISTORY = 50

/** What a room needs of its client. */
export interface RoomParts extends Pick<NamesParts, 'membersAmong'>, Pick<MessagesParts, 'readBefore'> {
  readonly door: Door
}

/** Joins a room; the connection is made and kept in the background. */
export function joinRoom(id: string, { door, readBefore, membersAmong }: RoomParts, options: JoinOptions = {}): Room {
  const { doc = new Y.Doc(), awareness, history = HISTORY, since, streams = LiveStream.options } = options
  const events = createEmitter<RoomEvents>()
  let live: RoomSocket | undefined
  const send = (frame: LiveClientFrame) => live?.send(frame) ?? false
  const s: State = {
    id,
    events,
    streams,
    shared: shareDocument({
      doc,
      awareness,
      send: (frame) => live?.sendBytes(frame) ?? false,
      onSynced: () => events.emit('synced', undefined),
      onSaved: () => events.emit('saved', undefined),
      onProblem: (error) => events.emit('problem', error),
      giveUp: () => live?.giveUp(),
      fail: (cause) => live?.fail(cause),
    }),
    correspondence: followMessages({
      send,
      history,
      since,
      readBefore,
      onEvent: (event) => events.emit('message', event),
      onChange: (state) => events.emit('messages', state),
      onGap: () => events.emit('gap', undefined),
    }),
    people: createPeople({ send, changed: () => events.emit('presence', s.people.state()) }),
    names: createNames({ membersAmong, changed: () => events.emit('names', undefined) }),
    status: 'connecting',
    userId: undefined,
    role: undefined,
  }
  if (!streams.includes('document')) s.shared.end(new ClosedError('The room was joined without its document.'))
  live = openRoomSocket({
    door,
    streams,
    subscription: (stream) => (stream === 'messages' ? s.correspondence.subscription() : { type: 'subscribe', stream, last: history }),
    onStatus(status) {
      s.status = status
      events.emit('status', status)
    },
    onIn: ({ userId }) => enter(s, userId),
    onFrame: (frame) => hear(s, frame),
    onBytes: s.shared.receive,
    onNonsense: (error) => events.emit('problem', error),
    onLost: (isBrief) => lose(s, isBrief),
    onEnd: (cause = new ClosedError('The service closed the room.')) => leave(s, cause),
  })
  return faceOf(s, { send, close: live.close })
}

function faceOf(s: State, { send, close }: { readonly send: (frame: LiveClientFrame) => boolean; readonly close: () => void }): Room {
  const { id, shared, correspondence, people, names } = s
  return {
    id,
    get status() {
      return s.status
    },
    get userId() {
      return s.userId
    },
    get role() {
      return s.role
    },
    doc: shared.doc,
    awareness: shared.awareness,
    get isSynced() {
      return shared.synced.isOpen()
    },
    get hasUnsaved() {
      return shared.saving.hasUnsaved()
    },
    messages: correspondence.face,
    presence: {
      get state() {
        return people.state()
      },
      show: people.show,
    },
    nameOf: names.nameOf,
    signal: (data, to) => send({ type: 'signal', data: data as never, ...(to === undefined ? {} : { to: to as UserId }) }),
    on: s.events.on,
    whenSynced: shared.synced.wait,
    saved: shared.saving.saved,
    close,
  }
}

function enter(s: State, userId: UserId): void {
  s.userId = userId
  if (s.streams.includes('document')) s.shared.open()
  s.people.open()
  s.correspondence.open(userId)
}

function lose(s: State, isBrief: boolean): void {
  s.shared.lose(isBrief)
  s.correspondence.lose()
  if (!isBrief) s.people.forget()
}

function leave(s: State, cause: Error): void {
  s.shared.end(cause)
  s.correspondence.end(cause)
  s.people.stop()
  s.names.stop()
  s.people.forget()
  if (!(cause instanceof ClosedError)) s.events.emit('problem', cause)
}

function hear(s: State, frame: Told): void {
  const { correspondence, events, people } = s
  switch (frame.type) {
    case 'ready':
      return noteRole(s, frame.role)
    case 'subscribed':
      return frame.stream === 'messages' ? correspondence.begin(frame) : undefined
    case 'messages':
      return correspondence.take(frame.events)
    case 'ack':
      return correspondence.outbox.acknowledge(frame)
    case 'presence':
      return people.hear(frame)
    case 'read':
      return correspondence.noteRead(frame)
    case 'typing':
      return correspondence.noteTypist(frame.userId)
    case 'signal':
      return events.emit('signal', { userId: frame.userId, data: frame.data })
    case 'error':
      return hearError(s, frame)
  }
}

function noteRole(s: State, role: RoomRole): void {
  if (role === s.role) return
  s.role = role
  s.events.emit('role', role)
}

type Refusal = Extract<LiveServerFrame, { readonly type: 'error' }>

/** What is refused for now is sent again where it can be; what only told of oneself is not worth it. */
function hearError(s: State, { code, title, temporary, retryAfterMs = 1_000, about, cid }: Refusal): void {
  const { outbox } = s.correspondence
  const problem = new Problem(code, { detail: title, retryAfterSeconds: temporary ? retryAfterMs / 1000 : undefined })
  if (cid !== undefined) return temporary ? outbox.retry(cid, retryAfterMs) : outbox.refuse(cid, problem)
  const [first] = outbox.pending()
  // A frame refused unread has no name: it may have been the message on its way. The room counts its cid once.
  if (temporary && about === undefined && first) outbox.retry(first.cid, retryAfterMs)
  if (temporary && about === 'presence') return s.people.retry(retryAfterMs)
  if (temporary && (about === 'typing' || about === 'read')) return
  s.events.emit('problem', problem)
}
