import { diffAuto } from 'lib0/diff/patience'
import * as Y from 'yjs'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import {
  DOCUMENT_READ_BYTES_MAX,
  type DocumentFormat,
  type DocumentPatch,
  type RoomDocument,
  type RoomVersion,
  type TextDiff,
} from '../../contract/room-document.ts'
import { ROOM_DOCUMENT_BYTES_MAX, type RoomStats } from '../../contract/rooms.ts'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import { traceFrom } from '../platform/trace.ts'
import { jsonOf, operate, overwrite, plainTextOf } from './content.ts'
import { documentOf, isCurrent, stateOf } from './document.ts'
import type { LiveRoom } from './live.ts'
import { endWindow, gatherChange, gatherWork } from './window.ts'

/** A document as REST tells it. @throws Problem `payload-too-large` */
function answerOf(doc: Y.Doc, state: Uint8Array, format: DocumentFormat | undefined): RoomDocument {
  if (format !== undefined && state.byteLength > DOCUMENT_READ_BYTES_MAX)
    throw new Problem('payload-too-large', { detail: 'Sync it over a WebSocket.' })
  return {
    bytes: state.byteLength,
    bytesMax: ROOM_DOCUMENT_BYTES_MAX,
    stateVector: toBase64Url(Y.encodeStateVector(doc)),
    ...(format === 'json' ? { json: jsonOf(doc) } : {}),
    ...(format === 'text' ? { text: plainTextOf(doc) } : {}),
    ...(format === 'update' ? { update: toBase64Url(state) } : {}),
  }
}

/** What a room costs and holds. */
export function statsOf({ document: { size }, hub, leaves, meter }: LiveRoom): RoomStats {
  const { since, awakeMs, ...counts } = meter.read()
  return {
    since: toMoment(since),
    awakeSeconds: Math.round(awakeMs / 1000),
    ...counts,
    sockets: hub.count(),
    leaves: leaves.count(),
    documentBytes: size.baseBytes + size.logBytes,
    documentBytesMax: ROOM_DOCUMENT_BYTES_MAX,
  }
}

/** The document as it is stored now. */
export function readDocument(room: LiveRoom, format?: DocumentFormat): RoomDocument {
  endWindow(room)
  return answerOf(documentOf(room.document), stateOf(room.document), format)
}

function bytesOf(text: string, pointer: string): Uint8Array {
  const bytes = fromBase64Url(text)
  if (!bytes) throw new Problem('invalid-request', { errors: [{ detail: 'is not base64url', pointer }] })
  return bytes
}

/** Changes the document, for one who may; it is stored when this returns, and editors are told. */
export function patchDocument(room: LiveRoom, { operations = [], update, stateVector }: DocumentPatch, traceparent: string): RoomDocument {
  if (stateVector !== undefined && !isCurrent(room.document, bytesOf(stateVector, '#/body/stateVector'))) throw new Problem('conflict')
  const trace = traceFrom(traceparent)
  if (update === undefined) {
    gatherWork(room, trace, (doc) => {
      for (const operation of operations) operate(doc, operation)
    })
  } else if (gatherChange(room, bytesOf(update, '#/body/update'), trace)) {
    endWindow(room)
    throw new Problem('conflict', { detail: 'The update builds on changes that are not here.' })
  }
  endWindow(room)
  return readDocument(room)
}

/** Keeps the document as it is now. */
export function keepVersion(room: LiveRoom, name: string): Promise<RoomVersion> {
  endWindow(room)
  return room.versions.keep(stateOf(room.document), { kind: 'named', name, now: Date.now() })
}

async function versionOf(room: LiveRoom, id: string): Promise<{ readonly doc: Y.Doc; readonly state: Uint8Array }> {
  const state = await room.versions.read(id)
  if (state.byteLength > DOCUMENT_READ_BYTES_MAX) throw new Problem('payload-too-large')
  const doc = new Y.Doc()
  Y.applyUpdate(doc, state)
  return { doc, state }
}

/** The document as it was. */
export async function readVersion(room: LiveRoom, id: string, format: DocumentFormat): Promise<RoomDocument> {
  const { doc, state } = await versionOf(room, id)
  return answerOf(doc, state, format)
}

/** What changed in the text since. */
export async function diffVersion(room: LiveRoom, id: string): Promise<TextDiff> {
  const { doc } = await versionOf(room, id)
  const { text = '' } = readDocument(room, 'text')
  return { changes: diffAuto(plainTextOf(doc), text) }
}

/** Makes the document what it was, by new changes, after keeping what it is. */
export async function restoreVersion(room: LiveRoom, id: string, traceparent: string): Promise<RoomDocument> {
  const { doc } = await versionOf(room, id)
  endWindow(room)
  await room.versions.keep(stateOf(room.document), { kind: 'restored', now: Date.now() })
  gatherWork(room, traceFrom(traceparent), (now) => overwrite(now, doc))
  endWindow(room)
  return readDocument(room)
}
