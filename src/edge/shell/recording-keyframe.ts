import * as z from 'zod'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import { openDb } from '../platform/db.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { type CastReader, createCastReader } from './recording-cast.ts'
import { prefixOf } from './recording-chunk.ts'
import { chunksOf, type RecordingRow, recordingById } from './recording-store.ts'
import { createScreen, type Screen } from './screen.ts'
import { paint } from './screen-paint.ts'
import { createParser, feed, type Parser } from './screen-parser.ts'

/** The screen is kept after every so many chunks. */
export const KEYFRAME_CHUNKS = 8
/** A screen that takes more to paint is not kept: some 1000 by 1000 cells can each have a colour of their own. */
export const PAINT_CHARS_MAX = 4 * 1024 * 1024
/** Damaged keyframes that are passed over before it is the beginning that playing starts from. */
const TRIES_MAX = 4
const PURPOSE = 'recording-keyframe'

/** A recording as it is played here: the terminal after a chunk. */
export interface Playing {
  readonly screen: Screen
  readonly parser: Parser
  readonly cast: CastReader
  /** The last chunk that was played; -1 before the first. */
  seq: number
  /** When the last of what was played came. */
  atMs: number
  /** Whether all of it was what had been recorded. */
  isWhole: boolean
}

const Half = z.string().transform((text, at) => fromBase64Url(text) ?? at.addIssue('is not base64url') ?? new Uint8Array())
const Side = z.int().min(1).max(1000)

/** A screen after a chunk, as it is stored: derived from the chunks, so one that is lost or changed costs time and nothing else. */
const Keyframe = z.strictObject({
  version: z.literal(1),
  shellId: z.string(),
  seq: z.int(),
  /** SHA-256 of that chunk, which names the one before it. */
  chunkHash: z.string(),
  columns: Side,
  height: Side,
  paint: z.string(),
  halves: z.strictObject({ o: Half, e: Half }),
  lastMs: z.int(),
  atMs: z.int(),
})

const prefixOfKeyframes = ({ orgId, id }: RecordingRow): string => `${prefixOf(orgId, id)}keyframes/`
const keyOfKeyframe = (recording: RecordingRow, seq: number): string => `${prefixOfKeyframes(recording)}${String(seq).padStart(8, '0')}`

/** A recording before its first chunk. */
export const beginPlaying = ({ kind, columns, rows }: RecordingRow): Playing => ({
  screen: createScreen(columns, rows),
  parser: createParser(),
  cast: createCastReader(kind),
  seq: -1,
  atMs: 0,
  isWhole: true,
})

/** Stores the screen as it is now. Never rejects: what fails is done again by the next who seeks. */
export async function keepKeyframe(scope: Scope, recording: RecordingRow, now: Playing & { readonly chunkHash: string }): Promise<void> {
  const { screen, parser, seq, chunkHash, atMs } = now
  const painted = paint(screen, parser, PAINT_CHARS_MAX)
  if (painted === undefined) return
  const { halves, lastMs } = now.cast.place()
  const at = { shellId: recording.id, seq, chunkHash, columns: screen.columns, height: screen.height, paint: painted }
  const json = JSON.stringify({ version: 1, ...at, halves: { o: toBase64Url(halves.o), e: toBase64Url(halves.e) }, lastMs, atMs })
  const key = keyOfKeyframe(recording, seq)
  try {
    const { keyring } = scope.config
    const mac = await keyring.mac(PURPOSE, new TextEncoder().encode(json))
    if (!mac) throw new Error('the newest secret has no version')
    await scope.env.RECORDINGS.put(key, `${keyring.version}.${toBase64Url(mac)}\n${json}`)
    // Whoever deletes a recording deletes its objects once more after its row, so that one of the two sees the other.
    if ((await recordingById(openDb(scope.env.DB, undefined).db, recording.id)).length === 0) await scope.env.RECORDINGS.delete(key)
  } catch (error) {
    scope.log('keyframe.failed', { shellId: recording.id, seq, ...describeError(error) })
  }
}

/** The latest kept screen before a chunk, or the beginning. */
export async function nearestKeyframe(scope: Scope, recording: RecordingRow, before: number): Promise<Playing> {
  const seqs = before < KEYFRAME_CHUNKS ? [] : await keptSeqs(scope, recording, before)
  for (const seq of seqs.slice(-TRIES_MAX).reverse()) {
    const playing = await readKeyframe(scope, recording, seq)
    if (playing) return playing
  }
  return beginPlaying(recording)
}

async function keptSeqs({ env }: Scope, recording: RecordingRow, before: number): Promise<number[]> {
  const prefix = prefixOfKeyframes(recording)
  const seqs: number[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await env.RECORDINGS.list({ prefix, ...(cursor === undefined ? {} : { cursor }) })
    const found = page.objects.map(({ key }) => Number(key.slice(prefix.length)))
    seqs.push(...found.filter((seq) => seq < before))
    if (!page.truncated || (found.at(-1) ?? 0) >= before) return seqs
    cursor = page.cursor
  }
}

/** Nothing where it is gone, was not written by this deployment, or follows other chunks than there are. */
async function readKeyframe(scope: Scope, recording: RecordingRow, seq: number): Promise<Playing | undefined> {
  const object = await scope.env.RECORDINGS.get(keyOfKeyframe(recording, seq))
  const text = (await object?.text()) ?? ''
  const end = text.indexOf('\n')
  const json = text.slice(end + 1)
  if (!(await isSealed(scope, text.slice(0, Math.max(0, end)), json))) return undefined
  const { data } = Keyframe.safeParse(JSON.parse(json))
  const [row] = await chunksOf(scope.db, recording.id, { after: seq - 1, limit: 1 })
  if (!data || data.shellId !== recording.id || data.seq !== seq || row?.seq !== seq || row.hash !== data.chunkHash) return undefined
  const screen = createScreen(data.columns, data.height)
  const parser = createParser()
  feed(screen, parser, data.paint)
  screen.work = 0
  return { screen, parser, cast: createCastReader(recording.kind, data), seq, atMs: data.atMs, isWhole: true }
}

async function isSealed({ config }: Scope, seal: string, json: string): Promise<boolean> {
  const [version, encoded] = seal.split('.')
  const expected = await config.keyring.mac(PURPOSE, new TextEncoder().encode(json), Number(version))
  return expected !== undefined && toBase64Url(expected) === encoded
}

/** Whether the screen is kept after this chunk. */
export const isKeyframe = (seq: number): boolean => (seq + 1) % KEYFRAME_CHUNKS === 0
