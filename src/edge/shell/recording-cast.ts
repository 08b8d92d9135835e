import { outputDecoder } from './capture.ts'
import { textOfLine } from './recording-chunk.ts'
import { damage, type Moment, momentsOf, type StoredChunk } from './recording-reader.ts'
import type { RecordingRow } from './recording-store.ts'

/** A line of an asciicast: output, a new size as `columns x rows`, input, or a marker. */
export interface CastEvent {
  readonly atMs: number
  readonly code: 'o' | 'r' | 'i' | 'm'
  readonly data: string
}

/** What a reader must know where it goes on: the beginnings of characters that are not whole yet, and when output last came. */
export interface CastPlace {
  readonly halves: { readonly o: Uint8Array; readonly e: Uint8Array }
  readonly lastMs: number
}

/** Turns chunks into what was shown. Characters that are cut by two chunks come whole, those that never end are marked. */
export interface CastReader {
  readonly take: (stored: StoredChunk) => CastEvent[]
  readonly end: () => CastEvent[]
  readonly place: () => CastPlace
}

const NOTHING = new Uint8Array()
const CHARACTER_BYTES_MAX = 4

export function createCastReader(kind: RecordingRow['kind'], from?: CastPlace): CastReader {
  const decoders = { o: outputDecoder(), e: outputDecoder() }
  const halves = { o: from?.halves.o ?? NOTHING, e: from?.halves.e ?? NOTHING }
  let lastMs = from?.lastMs ?? 0
  for (const stream of ['o', 'e'] as const) decoders[stream].decode(halves[stream], { stream: true })
  // Without a terminal on the other side nobody turned line feeds into new lines.
  const shown = (text: string): CastEvent[] =>
    text === '' ? [] : [{ atMs: lastMs, code: 'o', data: kind === 'exec' ? text.replaceAll('\n', '\r\n') : text }]
  /** What a character began with before something that is not its rest. */
  const cut = (): CastEvent[] => {
    halves.o = NOTHING
    halves.e = NOTHING
    return [...shown(decoders.o.decode()), ...shown(decoders.e.decode())]
  }
  const eventsOf = (moment: Moment): CastEvent[] => {
    const { kind: what, atMs, data = '', bytes } = moment
    if (what === 'm') return [{ atMs, code: what, data: textOfLine(data) }]
    if (what === 'r' || what === 'i') return [{ atMs, code: what, data }]
    if (what === 'g') return [...cut(), { atMs, code: 'm', data: `${data} bytes are lost here` }]
    lastMs = atMs
    halves[what] = halfOf(halves[what], bytes)
    return shown(decoders[what].decode(bytes, { stream: true }))
  }
  return {
    take: (stored) =>
      stored.chunk ? momentsOf(stored.chunk).flatMap(eventsOf) : [...cut(), { atMs: stored.row.atMs, code: 'm', data: damage(stored) }],
    end: cut,
    place: () => ({ halves: { ...halves }, lastMs }),
  }
}

/** The bytes at the end that a decoder still waits with. */
function halfOf(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  const end = new Uint8Array([...before, ...bytes.subarray(-CHARACTER_BYTES_MAX)])
  for (let count = Math.min(CHARACTER_BYTES_MAX - 1, end.length); count > 0; count--) {
    const tail = end.slice(-count)
    if (outputDecoder().decode(tail, { stream: true }) === '') return tail
  }
  return NOTHING
}

/** The first line of an asciicast, version 2. */
export function castHeader(
  { id, startedAt, durationMs }: RecordingRow,
  at: { readonly columns: number; readonly height: number; readonly atMs: number },
): string {
  return `${JSON.stringify({
    version: 2,
    width: at.columns,
    height: at.height,
    timestamp: Math.floor((startedAt + at.atMs) / 1000),
    duration: Math.max(0, durationMs - at.atMs) / 1000,
    title: id,
  })}\n`
}

/** Every other line; time counts from where the file begins. */
export const castLines = (events: readonly CastEvent[], fromMs: number): string =>
  events.map(({ atMs, code, data }) => `${JSON.stringify([Math.max(0, atMs - fromMs) / 1000, code, data])}\n`).join('')
