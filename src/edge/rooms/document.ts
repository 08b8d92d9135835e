import { createDecoder, hasContent, readVarUint8Array } from 'lib0/decoding'
import { encode, writeVarUint8Array } from 'lib0/encoding'
import * as Y from 'yjs'
import { Problem } from '../../contract/problem.ts'
import { type DocumentSize, hasRoomFor, needsCompaction } from './policy.ts'

/** Pieces of the encoded state; SQLite rows of an object end at 2 MB. */
const PART_BYTES = 1_048_576
/** A window's changes in one row; more than this, and the whole state is written instead. */
const ROW_BYTES_MAX = 1_900_000
/** A stored change that cannot be read any more is left out; with more of them than this the document is lost. */
const DAMAGES_MAX = 10
/** `Y.mergeUpdates` is quadratic: 64 take 0.3 ms, 4,000 half a second. */
const MERGED_MAX = 64

const SCHEMA = `
CREATE TABLE IF NOT EXISTS document_parts (part INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS document_log (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;`

/** What a compaction did. */
export interface Compaction {
  readonly logRows: number
  readonly logBytes: number
  readonly documentBytes: number
  readonly parts: number
}

/** What was stored, as updates to tell everybody. */
export interface Settlement {
  readonly updates: readonly Uint8Array[]
  readonly compaction?: Compaction | undefined
  /** Why the log could not be compacted; it stays as it is. */
  readonly failure?: unknown
}

/**
 * The shared document of a room: a Yjs document in memory, which is only a cache, over a base and a log of changes
 * in SQLite. Changes are taken in first and stored together by `settle`; nothing may be told before that.
 */
export interface RoomDocument {
  readonly storage: DurableObjectStorage
  doc: Y.Doc | undefined
  size: DocumentSize
  /** Taken in and not stored yet, as the document said it learnt it: our own encoding, never the sender's. */
  unsettled: Uint8Array[]
  unsettledBytes: number
  /** What the document said it learnt while it took a change in. */
  learnt: Uint8Array[]
  /** A log that could not be compacted once is left alone until the memory is new. */
  isCompactable: boolean
}

/** Opens the stored document. */
export function openDocument(storage: DurableObjectStorage): RoomDocument {
  storage.sql.exec(SCHEMA)
  return {
    storage,
    doc: undefined,
    size: readSize(storage.sql),
    unsettled: [],
    unsettledBytes: 0,
    learnt: [],
    isCompactable: true,
  }
}

/** What the document knows, by client. */
export const stateVectorOf = (d: RoomDocument): Uint8Array => Y.encodeStateVector(load(d))

/** What a peer with this state vector lacks. @throws Problem `invalid-request` */
export function missingFrom(d: RoomDocument, stateVector: Uint8Array): Uint8Array {
  const doc = load(d)
  return reading(() => Y.encodeStateAsUpdate(doc, stateVector))
}

/** Whether everything in the update is known. @throws Problem `invalid-request` */
export function holds(d: RoomDocument, update: Uint8Array): boolean {
  const snapshot = Y.snapshot(load(d))
  return reading(() => Y.snapshotContainsUpdate(snapshot, update))
}

/**
 * Takes a change in; what is known already counts for nothing. Answers whether part of it builds on changes that are
 * not here. That part is left out, since nobody vouches for it: who sent it has all of it and is to be asked.
 *
 * @throws Problem `invalid-request` or `payload-too-large`
 */
export function takeIn(d: RoomDocument, update: Uint8Array): boolean {
  const { structs, ds } = reading(() => Y.decodeUpdate(update))
  if (structs.length === 0 && ds.clients.size === 0) return false
  // No editor writes an empty struct, and Yjs trips over it when it encodes the document.
  if (structs.some((struct) => struct.length === 0)) throw new Problem('invalid-request')
  makeRoom(d, { bytes: update.byteLength, onlyDeletes: structs.length === 0 })
  const doc = load(d)
  d.learnt = []
  try {
    Y.applyUpdate(doc, update)
  } catch (cause) {
    // It was integrated half-way, which nobody should see; the next reader gets the document anew.
    d.doc = undefined
    throw new Problem('invalid-request', {}, { cause })
  }
  d.unsettled.push(...d.learnt)
  d.unsettledBytes += bytesOf(d.learnt)
  return dropWaiting(doc)
}

/** The document itself, for those who only read. */
export const documentOf = (d: RoomDocument): Y.Doc => load(d)

/** All of it, as one update. */
export const stateOf = (d: RoomDocument): Uint8Array => Y.encodeStateAsUpdate(load(d))

/** Whether nothing was added since a state vector was read; deletions leave none. @throws Problem `invalid-request` */
export function isCurrent(d: RoomDocument, stateVector: Uint8Array): boolean {
  const known = reading(() => Y.decodeStateVector(stateVector))
  const now = Y.decodeStateVector(stateVectorOf(d))
  return known.size === now.size && [...now].every(([client, clock]) => known.get(client) === clock)
}

/**
 * Changes the document here, all of it or not at all.
 *
 * @throws Problem `payload-too-large`, or what the work throws
 */
export function work(d: RoomDocument, change: (doc: Y.Doc) => void): void {
  const doc = load(d)
  d.learnt = []
  try {
    doc.transact(() => change(doc))
    makeRoom(d, { bytes: bytesOf(d.learnt), onlyDeletes: false })
  } catch (error) {
    // It was changed half-way, which nobody should see; the next reader gets the document anew.
    d.doc = undefined
    throw error
  }
  d.unsettled.push(...d.learnt)
  d.unsettledBytes += bytesOf(d.learnt)
}

const bytesOf = (updates: readonly Uint8Array[]): number => updates.reduce((sum, { byteLength }) => sum + byteLength, 0)

/** Stores what was taken in, as one row; compacts when it is time to. */
export function settle(d: RoomDocument): Settlement {
  if (d.unsettled.length === 0) return { updates: [] }
  const updates = mergeLive(d.unsettled)
  const done = append(d, updates)
  d.unsettled = []
  d.unsettledBytes = 0
  return { updates, ...done }
}

/** Drops all memory, and with it what is not stored. */
export const forget = (d: RoomDocument): void => void Object.assign(d, openDocument(d.storage))

/** An update without structs and deletions: the answer of a peer that has nothing new. */
export const isEmptyUpdate = (update: Uint8Array): boolean => update.byteLength === 2 && update[0] === 0 && update[1] === 0

/** Merges what a window gathered into as few updates as can be merged cheaply; all of them are of our own encoding. */
function mergeLive(updates: readonly Uint8Array[]): readonly Uint8Array[] {
  const merged: Uint8Array[] = []
  for (let i = 0; i < updates.length; i += MERGED_MAX) merged.push(Y.mergeUpdates(updates.slice(i, i + MERGED_MAX)))
  return merged
}

/** Runs a reader over bytes from outside: whatever it dislikes is the sender's fault. */
function reading<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new Problem('invalid-request', {}, { cause })
  }
}

/** A row: one or more updates, each after its length. */
const pack = (updates: readonly Uint8Array[]): Uint8Array =>
  encode((e) => {
    for (const update of updates) writeVarUint8Array(e, update)
  })

function* unpack(row: Uint8Array): Iterable<Uint8Array> {
  const decoder = createDecoder(row)
  while (hasContent(decoder)) yield readVarUint8Array(decoder)
}

/** One after the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.byteLength
  }
  return whole
}

/** Forgets changes that wait for others; answers whether there were any. */
function dropWaiting({ store }: Y.Doc): boolean {
  const isWaiting = store.pendingStructs !== null || store.pendingDs !== null
  store.pendingStructs = null
  store.pendingDs = null
  return isWaiting
}

function load(d: RoomDocument): Y.Doc {
  if (d.doc) return d.doc
  const { sql } = d.storage
  const base = concat(readRows(sql, 'SELECT bytes FROM document_parts ORDER BY part'))
  const log = readRows(sql, 'SELECT bytes FROM document_log ORDER BY seq').flatMap((row) => [...unpack(row)])
  const doc = replay([...(base.byteLength > 0 ? [base] : []), ...log, ...d.unsettled])
  doc.on('update', (update: Uint8Array) => void d.learnt.push(update))
  d.doc = doc
  return doc
}

/** Reads updates into a new document. One that cannot be integrated is left out rather than closing the room for good. */
function replay(updates: readonly Uint8Array[], damages = 0): Y.Doc {
  const doc = new Y.Doc()
  for (const [i, update] of updates.entries()) {
    try {
      Y.applyUpdate(doc, update)
    } catch (cause) {
      if (damages === DAMAGES_MAX) throw cause
      return replay(updates.toSpliced(i, 1), damages + 1)
    }
  }
  dropWaiting(doc)
  return doc
}

function makeRoom(d: RoomDocument, change: { readonly bytes: number; readonly onlyDeletes: boolean }): void {
  const fits = () => hasRoomFor(d.size, { ...change, bytes: d.unsettledBytes + change.bytes })
  if (!fits() && d.size.logBytes >= PART_BYTES) compact(d)
  if (!fits()) throw new Problem('payload-too-large')
}

function compact(d: RoomDocument): Compaction {
  const { sql } = d.storage
  const state = Y.encodeStateAsUpdate(load(d))
  const { logRows, logBytes } = d.size
  const parts = Math.ceil(state.byteLength / PART_BYTES)
  d.storage.transactionSync(() => {
    sql.exec('DELETE FROM document_parts')
    sql.exec('DELETE FROM document_log')
    for (let part = 0; part < parts; part++) {
      sql.exec('INSERT INTO document_parts (part, bytes) VALUES (?, ?)', part, state.slice(part * PART_BYTES, (part + 1) * PART_BYTES))
    }
  })
  d.size = { baseBytes: state.byteLength, logBytes: 0, logRows: 0 }
  return { logRows, logBytes, documentBytes: state.byteLength, parts }
}

function append(d: RoomDocument, updates: readonly Uint8Array[]): Omit<Settlement, 'updates'> {
  const row = pack(updates)
  if (row.byteLength > ROW_BYTES_MAX) return { compaction: compact(d) }
  d.storage.sql.exec('INSERT INTO document_log (bytes) VALUES (?)', row)
  d.size = { ...d.size, logBytes: d.size.logBytes + row.byteLength, logRows: d.size.logRows + 1 }
  if (!needsCompaction(d.size) || !d.isCompactable) return {}
  try {
    return { compaction: compact(d) }
  } catch (failure) {
    d.isCompactable = false
    return { failure }
  }
}

const readRows = (sql: SqlStorage, query: string): Uint8Array[] =>
  sql
    .exec<{ bytes: ArrayBuffer }>(query)
    .toArray()
    .map((row) => new Uint8Array(row.bytes))

function readSize(sql: SqlStorage): DocumentSize {
  const base = sql.exec<{ baseBytes: number }>('SELECT coalesce(sum(length(bytes)), 0) AS baseBytes FROM document_parts').one()
  const log = sql
    .exec<{ logBytes: number; logRows: number }>(
      'SELECT coalesce(sum(length(bytes)), 0) AS logBytes, count(*) AS logRows FROM document_log',
    )
    .one()
  return { ...base, ...log }
}
