import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Problem } from '../contract/problem.ts'
import { ROOM_FRAME_BYTES_MAX } from '../contract/rooms.ts'
import { ContractError } from './failure.ts'
import { createGate, type Gate } from './gate.ts'
import { PIECE_BYTES, piecesOf } from './pieces.ts'
import { followPresence, type Presence } from './presence.ts'
import { awarenessFrame, echoFrame, type RoomMessage, readRoomFrame, step1Frame, step2Frame, updateFrame } from './room-frame.ts'
import { followSaving, type Saving } from './saving.ts'

/** What sharing a document needs. */
export interface SharedDocumentParts {
  readonly doc: Y.Doc
  readonly awareness: Awareness | undefined
  /** Sends a frame if there is a connection; answers whether there was. */
  readonly send: (frame: Uint8Array<ArrayBuffer>) => boolean
  readonly onSynced: () => void
  readonly onSaved: () => void
  readonly onProblem: (error: Error) => void
  /** What came makes no sense: the connection is worth nothing. */
  readonly giveUp: () => void
  /** Something can never be sent: it is over. */
  readonly fail: (cause: Error) => void
}

/** A Yjs document in y-websocket framing, whatever carries it. */
export interface SharedDocument {
  readonly doc: Y.Doc
  readonly awareness: Awareness
  readonly synced: Gate
  readonly saving: Saving
  /** A connection is there. */
  readonly open: () => void
  readonly receive: (frame: ArrayBuffer) => void
  /** It is gone; `isBrief` when the next attempt follows at once. */
  readonly lose: (isBrief: boolean) => void
  readonly end: (cause: Error) => void
}

interface State {
  readonly parts: SharedDocumentParts
  readonly doc: Y.Doc
  readonly saving: Saving
  readonly presence: Presence
  readonly synced: Gate
  /** Whether the room has said what it knows and was sent the rest; changes before that are in the answer. */
  isAnswered: boolean
  /** Whether it ever did. */
  wasAnswered: boolean
  /** An answer that fits no frame, on its way. */
  upload: Upload | undefined
  /** Bytes that came since something was sent. */
  unanswered: number
}

/** What is still to be sent, and what was changed here since. */
interface Upload {
  readonly pieces: Iterator<Uint8Array>
  readonly later: Uint8Array[]
}

/** No structs, no deletions. */
const EMPTY_UPDATE = Uint8Array.of(0, 0)
/** A counter that no question about changes uses. */
const READING_COUNTER = 0
/** Nor this one, which asks whether a piece is stored. */
const PIECE_COUNTER = 0x7fff_ffff
/** A room closes the socket of who takes in several times this and says nothing: it cannot know whether they read. */
const UNANSWERED_BYTES_MAX = 1_048_576

/** Starts to follow a document. */
export function shareDocument(parts: SharedDocumentParts): SharedDocument {
  const { doc, onSaved } = parts
  const awareness = parts.awareness ?? new Awareness(doc)
  const send = (frame: Uint8Array<ArrayBuffer>) => {
    if (frame.byteLength > ROOM_FRAME_BYTES_MAX) {
      parts.fail(new Problem('payload-too-large', { detail: `One value of the document takes more than ${ROOM_FRAME_BYTES_MAX} bytes.` }))
      return false
    }
    s.unanswered = 0
    return parts.send(frame)
  }
  const s: State = {
    parts: { ...parts, send },
    doc,
    saving: followSaving({ ask: (counter) => send(echoFrame(counter)), onSaved }),
    presence: followPresence({ awareness, send: (update) => void send(awarenessFrame(update)) }),
    synced: createGate(),
    isAnswered: false,
    wasAnswered: false,
    upload: undefined,
    unanswered: 0,
  }
  const tell = (update: Uint8Array, origin: unknown) => tellChange(s, update, origin)
  doc.on('update', tell)
  return {
    doc,
    awareness,
    synced: s.synced,
    saving: s.saving,
    open() {
      send(step1Frame(Y.encodeStateVector(doc)))
      s.presence.open()
    },
    receive: (frame) => receive(s, frame),
    lose(isBrief) {
      s.synced.shut()
      s.isAnswered = false
      s.upload = undefined
      s.saving.lose()
      s.presence.lose(isBrief)
    },
    end(cause) {
      doc.off('update', tell)
      s.isAnswered = false
      s.upload = undefined
      s.synced.end(cause)
      s.saving.end(cause)
      s.presence.stop()
      if (!parts.awareness) awareness.destroy()
    },
  }
}

function tellChange(s: State, update: Uint8Array, origin: unknown): void {
  if (origin === s) return
  s.saving.noteChange()
  s.upload?.later.push(update)
  if (!s.isAnswered) return
  for (const piece of piecesOf(update)) s.parts.send(updateFrame(piece))
}

function receive(s: State, frame: ArrayBuffer): void {
  try {
    for (const message of readRoomFrame(frame)) obey(s, message)
  } catch (cause) {
    s.parts.onProblem(new ContractError('The room sent what is not y-websocket framing.', { cause }))
    return s.parts.giveUp()
  }
  s.unanswered += frame.byteLength
  if (s.unanswered > UNANSWERED_BYTES_MAX) s.parts.send(echoFrame(READING_COUNTER))
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
      return message.counter === PIECE_COUNTER ? sendPiece(s) : s.saving.hear(message.counter)
  }
}

/** Sends all that the room lacks: what does not fit a frame goes before, each piece once the last is stored. */
function answer(s: State, stateVector: Uint8Array): void {
  const update = Y.encodeStateAsUpdate(s.doc, stateVector)
  if (!s.wasAnswered && update.byteLength > EMPTY_UPDATE.byteLength) s.saving.noteChange()
  s.upload = undefined
  if (update.byteLength <= PIECE_BYTES) return finish(s, update)
  s.isAnswered = false
  bring(s, update)
}

function bring(s: State, update: Uint8Array): void {
  s.upload = { pieces: piecesOf(update)[Symbol.iterator](), later: [] }
  sendPiece(s)
}

function sendPiece(s: State): void {
  if (!s.upload) return
  const { pieces, later } = s.upload
  const next = pieces.next()
  if (!next.done) {
    s.parts.send(updateFrame(next.value))
    s.parts.send(echoFrame(PIECE_COUNTER))
  } else if (later.length > 0) {
    bring(s, Y.mergeUpdates(later))
  } else {
    s.upload = undefined
    finish(s, EMPTY_UPDATE)
  }
}

/** From here on an echo vouches for everything changed before it. */
function finish(s: State, update: Uint8Array): void {
  s.parts.send(step2Frame(update))
  s.isAnswered = true
  s.wasAnswered = true
  s.saving.open()
}

function takeIn(s: State, { update, isAnswer }: { readonly update: Uint8Array; readonly isAnswer: boolean }): void {
  careful(s, () => Y.applyUpdate(s.doc, update, s))
  if (!isAnswer || s.synced.isOpen()) return
  s.synced.open()
  s.parts.onSynced()
}

function deny(s: State): void {
  const problem = new Problem('forbidden')
  s.upload = undefined
  s.saving.deny(problem)
  s.parts.onProblem(problem)
}

/** What observers of the document throw comes out where it is changed; it must not end the connection. */
function careful(s: State, work: () => void): void {
  try {
    work()
  } catch (error) {
    s.parts.onProblem(error instanceof Error ? error : new Error(String(error)))
  }
}
