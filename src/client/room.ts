import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Problem } from '../contract/problem.ts'
import type { SocketData } from './connection.ts'
import type { Door } from './door.ts'
import { createEmitter, type Emitter, type Listener } from './emitter.ts'
import { ClosedError, ContractError } from './failure.ts'
import { createGate, type Gate } from './gate.ts'
import { followPresence, type Presence } from './presence.ts'
import { awarenessFrame, echoFrame, type RoomMessage, readRoomFrame, step1Frame, step2Frame, updateFrame } from './room-frame.ts'
import { followSaving, type Saving } from './saving.ts'
import { type KeptSocket, keepSocket, type SocketStatus } from './socket.ts'

/** How to join a room. */
export interface JoinOptions {
  /** The document to share; a new one if left out. What is in it already is merged into the room's. */
  readonly doc?: Y.Doc | undefined
  /** Who is here and where; a new one if left out. An empty state is not shown to others. */
  readonly awareness?: Awareness | undefined
  /** Open the socket by a single-use ticket instead of the bearer token; always so in cookie mode. */
  readonly ticket?: boolean | undefined
}

/** What a room tells. */
export interface RoomEvents {
  readonly status: SocketStatus
  /** The document holds all that the room's does. Told after each reconnect too. */
  readonly synced: undefined
  /** All changes made here are stored. Told once per burst of changes. */
  readonly saved: undefined
  /**
   * `Problem forbidden`: this seat may only read, so changes made here stay here. Any error once the status is `closed`: the
   * room is over for this client. Else an update or an observer of the document failed.
   */
  readonly problem: Error
}

/** One's place in a room: a shared document that survives every disconnect, and who else is here. */
export interface Room {
  readonly id: string
  readonly doc: Y.Doc
  readonly awareness: Awareness
  readonly status: SocketStatus
  readonly isSynced: boolean
  /** Whether changes made here are not known to be stored. */
  readonly hasUnsaved: boolean
  /** Listens until the returned function is called. */
  readonly on: <K extends keyof RoomEvents>(name: K, listener: Listener<RoomEvents[K]>) => () => void
  /**
   * Resolves once the document holds all that the room's does.
   *
   * @throws Problem `unauthenticated`, `session-ended`, `not-found`, `payload-too-large` or `invalid-request` when the room is over for this client
   * @throws ClosedError after {@link Room.close}
   */
  readonly whenSynced: () => Promise<void>
  /**
   * Resolves once everything changed here so far is on the service's disk; waits through disconnects.
   *
   * @throws Problem `forbidden` when this seat may only read; those of {@link Room.whenSynced}
   * @throws ClosedError after {@link Room.close}
   */
  readonly saved: () => Promise<void>
  /** Leaves. Changes that were not saved stay in the document only. */
  readonly close: () => void
}

interface State {
  readonly id: string
  readonly doc: Y.Doc
  readonly awareness: Awareness
  readonly events: Emitter<RoomEvents>
  readonly saving: Saving
  readonly presence: Presence
  readonly synced: Gate
  readonly send: (frame: SocketData) => boolean
  status: SocketStatus
  /** Whether the room has said what it knows and was sent the rest; changes before that are in the answer. */
  isAnswered: boolean
  /** Whether it ever did. */
  wasAnswered: boolean
}

/** In silence, a room is asked for an echo this often. Presence, which is told every 15 seconds, breaks the silence. */
const PROBE_MS = 30_000
/** No structs, no deletions. */
const EMPTY_UPDATE_BYTES = 2
/** A counter that no question about changes uses. */
const PROBE_COUNTER = 0

/** Joins a room; the connection is made and kept in the background. */
export function joinRoom(id: string, door: Door, { doc = new Y.Doc(), awareness: given }: JoinOptions = {}): Room {
  const awareness = given ?? new Awareness(doc)
  const events = createEmitter<RoomEvents>()
  let socket: KeptSocket | undefined
  const send = (frame: SocketData) => socket?.send(frame) ?? false
  const s: State = {
    id,
    doc,
    awareness,
    events,
    send,
    saving: followSaving({ ask: (counter) => send(echoFrame(counter)), onSaved: () => events.emit('saved', undefined) }),
    presence: followPresence({ awareness, send: (update) => void send(awarenessFrame(update)) }),
    synced: createGate(),
    status: 'connecting',
    isAnswered: false,
    wasAnswered: false,
  }
  const tell = (update: Uint8Array, origin: unknown) => tellChange(s, update, origin)
  doc.on('update', tell)
  socket = keepSocket({
    door,
    probe: { data: () => echoFrame(PROBE_COUNTER), everyMs: PROBE_MS, isSteady: false },
    onStatus(status) {
      s.status = status
      events.emit('status', status)
    },
    onOpen: () => greet(s),
    onMessage: (data) => receive(s, data, () => socket?.giveUp()),
    onLost: (isBrief) => lose(s, isBrief),
    onEnd(cause = new ClosedError('The service closed the room.')) {
      doc.off('update', tell)
      leave(s, cause)
      if (!given) awareness.destroy()
    },
  })
  events.on('synced', socket.thrive)
  return faceOf(s, socket.close)
}

function faceOf(s: State, close: () => void): Room {
  const { id, doc, awareness } = s
  return {
    id,
    doc,
    awareness,
    get status() {
      return s.status
    },
    get isSynced() {
      return s.synced.isOpen()
    },
    get hasUnsaved() {
      return s.saving.hasUnsaved()
    },
    on: s.events.on,
    whenSynced: s.synced.wait,
    saved: s.saving.saved,
    close,
  }
}

function greet(s: State): void {
  s.send(step1Frame(Y.encodeStateVector(s.doc)))
  s.presence.open()
}

function lose(s: State, isBrief: boolean): void {
  s.synced.shut()
  s.isAnswered = false
  s.saving.lose()
  if (!isBrief) s.presence.forgetOthers()
}

function leave(s: State, cause: Error): void {
  s.isAnswered = false
  s.synced.end(cause)
  s.saving.end(cause)
  s.presence.stop()
  s.presence.forgetOthers()
  if (!(cause instanceof ClosedError)) s.events.emit('problem', cause)
}

function tellChange(s: State, update: Uint8Array, origin: unknown): void {
  if (origin === s) return
  s.saving.noteChange()
  if (s.isAnswered) s.send(updateFrame(update))
}

function receive(s: State, data: string | ArrayBuffer, giveUp: () => void): void {
  try {
    if (typeof data === 'string') throw new RangeError('a room says nothing in text')
    for (const message of readRoomFrame(data)) obey(s, message)
  } catch (cause) {
    s.events.emit('problem', new ContractError('The room sent what is not y-websocket framing.', { cause }))
    giveUp()
  }
}

function obey(s: State, message: RoomMessage): void {
  switch (message.kind) {
    case 'step1':
      return answer(s, message.stateVector)
    case 'update':
      return takeIn(s, message)
    case 'awareness':
      return careful(s, () => s.presence.hear(message.update))
    case 'query-awareness':
      return s.presence.show()
    case 'denied':
      return deny(s)
    case 'echo':
      return s.saving.hear(message.counter)
  }
}

/** Sends all that the room lacks. From here on an echo vouches for everything changed before it. */
function answer(s: State, stateVector: Uint8Array): void {
  const update = Y.encodeStateAsUpdate(s.doc, stateVector)
  s.send(step2Frame(update))
  if (!s.wasAnswered && update.byteLength > EMPTY_UPDATE_BYTES) s.saving.noteChange()
  s.isAnswered = true
  s.wasAnswered = true
  s.saving.open()
}

function takeIn(s: State, { update, isAnswer }: { readonly update: Uint8Array; readonly isAnswer: boolean }): void {
  careful(s, () => Y.applyUpdate(s.doc, update, s))
  if (!isAnswer || s.synced.isOpen()) return
  s.synced.open()
  s.events.emit('synced', undefined)
}

function deny(s: State): void {
  const problem = new Problem('forbidden')
  s.saving.deny(problem)
  s.events.emit('problem', problem)
}

/** What observers of the document throw comes out where it is changed; it must not end the connection. */
function careful(s: State, work: () => void): void {
  try {
    work()
  } catch (error) {
    s.events.emit('problem', error instanceof Error ? error : new Error(String(error)))
  }
}
