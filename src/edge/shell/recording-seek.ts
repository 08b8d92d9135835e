import * as z from 'zod'
import { ShellId } from '../../contract/shell.ts'
import { type Consumer, commit, outboxEvent } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import type { CastEvent } from './recording-cast.ts'
import { isKeyframe, keepKeyframe, nearestKeyframe, PAINT_CHARS_MAX, type Playing } from './recording-keyframe.ts'
import { readChunks } from './recording-reader.ts'
import { chunkAt, type RecordingRow, recordingById } from './recording-store.ts'
import { resize } from './screen.ts'
import { paint } from './screen-paint.ts'
import { feed } from './screen-parser.ts'

/** What one call plays at most; where that does not reach, the file begins earlier, and the next call goes on from what was kept. */
export interface SeekBudget {
  readonly chunks: number
  readonly bytes: number
  /** As a screen counts it: a few bytes can clear a screen, and a Worker has thirty seconds. */
  readonly work: number
}

/** What one call of a Worker can play in its thirty seconds of processor, with room to spare. */
export const SEEK_BUDGET: SeekBudget = { chunks: 256, bytes: 16 * 1024 * 1024, work: 256 * 1024 * 1024 }
/** Text between two looks at the budget. */
const SLICE_CHARS = 256
const SIDE_MAX = 1000

/** Where a file begins, and what it begins with. */
export interface Beginning extends Playing {
  /** Output that brings a new terminal to where this one is. */
  readonly paint: string
  /** What is left of the chunk. */
  readonly events: readonly CastEvent[]
  readonly isReached: boolean
}

/** The recording at a moment, or as near before it as one call gets; nothing when it begins there, or its screen is too large to be told. */
export async function seek(
  scope: Scope,
  recording: RecordingRow,
  to: { readonly ms: number; readonly budget?: SeekBudget },
): Promise<Beginning | undefined> {
  const [target] = to.ms === 0 ? [] : await chunkAt(scope.db, recording.id, to.ms)
  if (!target) return undefined
  const playing = await nearestKeyframe(scope, recording, target.seq)
  const { events, isReached } = await playTo(scope, recording, { playing, seq: target.seq, ms: to.ms, budget: to.budget ?? SEEK_BUDGET })
  const painted = paint(playing.screen, playing.parser, PAINT_CHARS_MAX)
  return painted === undefined ? undefined : { ...playing, atMs: isReached ? to.ms : playing.atMs, paint: painted, events, isReached }
}

/** Topic of the order to make the keyframes that one call could not. */
export const KEYFRAMES_WANTED = 'recording.keyframes'
const Wanted = z.strictObject({ shellId: ShellId, ms: z.int(), after: z.int() })

/** The part of a seek that its budget did not allow is done behind it, call by call, so that the next who looks is there at once. */
export async function wantKeyframes(
  scope: Scope,
  { id }: RecordingRow,
  at: { readonly ms: number; readonly after: number },
): Promise<void> {
  await commit(scope, [], [await outboxEvent(scope, KEYFRAMES_WANTED, { shellId: id, ...at })])
}

/** One more part; where nothing comes of it the chunks in between cost too much, and the file begins before them. */
export const makeKeyframes: Consumer = async (scope, { payload }) => {
  const { shellId, ms, after } = Wanted.parse(payload)
  const [recording] = await recordingById(scope.db, shellId)
  const found = recording && (await seek(scope, recording, { ms }))
  if (found && !found.isReached && found.seq > after) await wantKeyframes(scope, recording, { ms, after: found.seq })
}

interface Aim {
  readonly playing: Playing
  readonly seq: number
  readonly ms: number
  readonly budget: SeekBudget
}

/** Plays until a moment in a chunk; answers what of the last chunk is left. */
async function playTo(scope: Scope, recording: RecordingRow, { playing, seq, ms, budget }: Aim) {
  let chunks = 0
  let bytes = 0
  for await (const stored of readChunks(scope, recording, playing.seq)) {
    const isTarget = stored.row.seq >= seq
    const left = playEvents(playing, playing.cast.take(stored), { ms: isTarget ? ms : Number.POSITIVE_INFINITY, work: budget.work })
    playing.seq = stored.row.seq
    if (stored.fault) playing.isWhole = false
    chunks += 1
    bytes += stored.row.bytes
    if (isTarget) return { events: left, isReached: left.every((event) => event.atMs > ms) }
    if (left.length > 0) return { events: left, isReached: false }
    // What was played over damage is not kept: it would outlive the repair.
    if (isKeyframe(playing.seq) && playing.isWhole) await keepKeyframe(scope, recording, { ...playing, chunkHash: stored.row.hash })
    if (chunks >= budget.chunks || bytes >= budget.bytes) return { events: [], isReached: false }
  }
  return { events: [], isReached: true }
}

/** Answers the events that come later, or that the budget does not allow. */
function playEvents(playing: Playing, events: CastEvent[], until: { readonly ms: number; readonly work: number }): CastEvent[] {
  for (const [at, event] of events.entries()) {
    if (event.atMs > until.ms) return events.slice(at)
    playing.atMs = Math.max(playing.atMs, event.atMs)
    if (event.code === 'r') takeSize(playing, event.data)
    if (event.code !== 'o') continue
    const rest = playText(playing, event.data, until.work)
    if (rest !== '') return [{ ...event, data: rest }, ...events.slice(at + 1)]
  }
  return []
}

/** Answers the text that is left when the work is done. */
function playText({ screen, parser }: Playing, text: string, work: number): string {
  for (let at = 0; at < text.length; ) {
    if (screen.work > work) return text.slice(at)
    const isSplit = /[\ud800-\udbff]/.test(text[at + SLICE_CHARS - 1] ?? '')
    const end = at + SLICE_CHARS - Number(isSplit)
    feed(screen, parser, text.slice(at, end))
    at = end
  }
  return ''
}

function takeSize({ screen }: Playing, data: string): void {
  const [columns = 0, height = 0] = data.split('x').map(Number)
  const isSize = [columns, height].every((side) => Number.isInteger(side) && side > 0 && side <= SIDE_MAX)
  if (isSize) resize(screen, columns, height)
}
