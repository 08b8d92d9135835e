import { applyD1Migrations, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import { beforeAll, expect, test } from 'vitest'
import type { OrgId } from '../../src/contract/orgs.ts'
import { RECORDING_GENESIS } from '../../src/contract/recordings.ts'
import type { ShellId } from '../../src/contract/shell.ts'
import { objectScope } from '../../src/edge/platform/object-scope.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { createCastReader } from '../../src/edge/shell/recording-cast.ts'
import { encodeChunk, hashOfChunk, keyOfChunk, type Mark, prefixOf, sealLink } from '../../src/edge/shell/recording-chunk.ts'
import { beginPlaying, keepKeyframe } from '../../src/edge/shell/recording-keyframe.ts'
import { readChunks } from '../../src/edge/shell/recording-reader.ts'
import { makeKeyframes, SEEK_BUDGET, seek } from '../../src/edge/shell/recording-seek.ts'
import { deleteRecording, keepChunkRow, type RecordingRow } from '../../src/edge/shell/recording-store.ts'
import { createScreen, resize } from '../../src/edge/shell/screen.ts'
import { paint } from '../../src/edge/shell/screen-paint.ts'
import { createParser, feed } from '../../src/edge/shell/screen-parser.ts'
import { recordings } from '../../src/edge/shell/tables.ts'
import { TRACEPARENT } from './shell-peer.ts'

const ORG = 'org_seek' as OrgId
const CHUNKS = 40
const CHUNK_MS = 1000
const HALF_MS = CHUNK_MS / 2

beforeAll(async () => {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
  await env.DB.prepare("INSERT INTO orgs (id, name, created_at) VALUES (?, 'x', 0)").bind(ORG).run()
})

const utf8 = new TextEncoder()

/** What chunk `i` shows: two pieces half its time apart, and a wide character cut by its end. */
function pieces(i: number): readonly [string, string] {
  const place = `\x1b[${(i % 20) + 1};${(i * 3) % 60}H\x1b[3${i % 8}m`
  return [`${place}chunk ${i} \u6f22`, i % 9 === 4 ? '\x1b[?1049h\x1b[2;5rinside' : i % 9 === 7 ? '\x1b[?1049l' : `\r\nline ${i}\u{1f980}`]
}

interface Made {
  readonly scope: Scope
  readonly recording: RecordingRow
}

let count = 0
async function onRecording(work: (made: Made) => Promise<void>, show: (i: number) => readonly [string, string] = pieces): Promise<void> {
  const id = `shl_01jd${String(++count).padStart(22, '0')}` as ShellId
  await env.DB.prepare(
    "INSERT INTO recordings (id, org_id, host_id, kind, columns, rows, started_at) VALUES (?, ?, 'hst_x', 'pty', 80, 24, 0)",
  )
    .bind(id, ORG)
    .run()
  await runInDurableObject(env.SHELLS.getByName(id), async (_, ctx) => {
    const scope = objectScope(ctx, env, TRACEPARENT)
    await writeChunks(scope, id, show)
    const [recording] = await scope.db.select().from(recordings).where(eq(recordings.id, id))
    if (!recording) throw new Error('no recording')
    await work({ scope, recording })
  })
}

async function writeChunks(scope: Scope, id: ShellId, show: (i: number) => readonly [string, string]): Promise<void> {
  let prevHash = RECORDING_GENESIS
  let firstOffset = 0
  let carried = new Uint8Array()
  for (let i = 0; i < CHUNKS; i++) {
    const [first, second] = show(i).map((text) => utf8.encode(text))
    const whole = new Uint8Array([...carried, ...(first ?? []), ...(second ?? [])])
    // The last two bytes come with the next chunk, so characters are cut.
    const bytes = i === CHUNKS - 1 ? whole : whole.slice(0, -2)
    const middle = Math.min(bytes.length, carried.length + (first?.length ?? 0))
    carried = whole.slice(bytes.length)
    const marks: Mark[] = [
      { kind: 'o', atMs: i * CHUNK_MS, offset: firstOffset },
      ...(i % 7 === 3
        ? [{ kind: 'r' as const, atMs: i * CHUNK_MS + HALF_MS, offset: firstOffset + middle, data: i % 2 ? '50x12' : '90x30' }]
        : []),
      { kind: 'o', atMs: i * CHUNK_MS + HALF_MS, offset: firstOffset + middle },
    ]
    const object = encodeChunk({ version: 1, shellId: id, seq: i, prevHash, firstOffset, marks }, [bytes])
    const hash = await hashOfChunk(object)
    const link = { recordingId: id, seq: i, prevHash, hash }
    await env.RECORDINGS.put(keyOfChunk(ORG, id, i), object)
    const row = { ...link, mac: await sealLink(scope.config.keyring, link), firstOffset, bytes: bytes.length, atMs: i * CHUNK_MS }
    await scope.db.batch(keepChunkRow(scope.db, row, { bytes: firstOffset + bytes.length, gaps: 0, durationMs: i * CHUNK_MS + HALF_MS }))
    prevHash = hash
    firstOffset += bytes.length
  }
}

/** A new terminal that is brought to where a file begins. */
async function seen({ scope, recording }: Made, ms: number, budget = SEEK_BUDGET) {
  const beginning = await seek(scope, recording, { ms, budget })
  if (!beginning) throw new Error('it begins at the beginning')
  const screen = createScreen(beginning.screen.columns, beginning.screen.height)
  const parser = createParser()
  feed(screen, parser, beginning.paint)
  return { text: paint(screen, parser, 1e7), atMs: beginning.atMs, isReached: beginning.isReached, half: beginning.cast.place().halves.o }
}

/** What it must be: all of it played, with a decoder that waits for the rest of a character. */
async function expected({ scope, recording }: Made, ms: number) {
  const screen = createScreen(80, 24)
  const parser = createParser()
  const cast = createCastReader('pty')
  for await (const stored of readChunks(scope, recording, -1))
    for (const { atMs, code, data } of cast.take(stored)) {
      if (atMs > ms) continue
      if (code === 'o') feed(screen, parser, data)
      if (code === 'r') resize(screen, ...(data.split('x').map(Number) as [number, number]))
    }
  return paint(screen, parser, 1e7)
}

const keyframes = async (id: ShellId) =>
  (await env.RECORDINGS.list({ prefix: `${prefixOf(ORG, id)}keyframes/` })).objects.map(({ key }) => key)
const moments = [0.5, 1, 7.4, 8.5, 15.2, 16, 23.6, 31.9, 36.5, 39.7].map((chunk) => Math.round(chunk * CHUNK_MS))

test('the screen at any moment is what playing from the start shows, and every eighth chunk leaves a keyframe', () =>
  onRecording(async (made) => {
    for (const ms of [...moments, ...moments.toReversed()]) {
      const { text, atMs, isReached } = await seen(made, ms)
      expect({ ms, text, atMs, isReached }).toEqual({ ms, text: await expected(made, ms), atMs: ms, isReached: true })
    }
    expect((await keyframes(made.recording.id)).map((key) => Number(key.slice(-8)))).toEqual([7, 15, 23, 31])
  }))

test('a keyframe that is changed, of another recording or gone is made again, and none is believed', () =>
  onRecording(async (made) => {
    const { id } = made.recording
    const ms = 36_500
    await seen(made, ms)
    const keys = await keyframes(id)
    const whole = await Promise.all(keys.map(async (key) => (await env.RECORDINGS.get(key))?.text()))
    await onRecording(
      async (other) => {
        await seen(other, ms)
        const foreign = await (await env.RECORDINGS.get(`${prefixOf(ORG, other.recording.id)}keyframes/00000031`))?.text()
        await env.RECORDINGS.put(keys[3] ?? '', foreign ?? '')
      },
      () => ['another', ' recording'],
    )
    await env.RECORDINGS.put(keys[2] ?? '', (whole[2] ?? '').replace('chunk', 'forge'))
    await env.RECORDINGS.put(keys[1] ?? '', 'nonsense')
    await env.RECORDINGS.delete(keys[0] ?? '')
    expect((await seen(made, ms)).text).toBe(await expected(made, ms))
    expect(await Promise.all(keys.map(async (key) => (await env.RECORDINGS.get(key))?.text()))).toEqual(whole)
  }))

test('one call does a bounded work: it begins earlier, says where, and the next goes on from what it kept', () =>
  onRecording(async (made) => {
    const budget = { ...SEEK_BUDGET, chunks: 10 }
    const begins: number[] = []
    for (let isReached = false; !isReached && begins.length < 10; ) {
      const found = await seen(made, 39_700, budget)
      expect(found.text).toBe(await expected(made, found.atMs))
      begins.push(found.atMs)
      isReached = found.isReached
    }
    expect(begins).toEqual([9500, 17_500, 25_500, 33_500, 39_700])
  }))

test('what a call could not do is done behind it: an order makes the keyframes, and one for a recording that is gone makes none', () =>
  onRecording(async ({ scope, recording }) => {
    const order = { id: 'evt_keyframes', payload: { shellId: recording.id, ms: 39_700, after: 9 } }
    await makeKeyframes(scope, order)
    expect((await keyframes(recording.id)).map((key) => Number(key.slice(-8)))).toEqual([7, 15, 23, 31])
    await scope.db.batch([...deleteRecording(scope.db, recording.id)])
    await env.RECORDINGS.delete(await keyframes(recording.id))
    await makeKeyframes(scope, order)
    expect(await keyframes(recording.id)).toEqual([])
  }))

test('output that costs much is played until its work is done, and the file goes on from there with nothing lost', () =>
  onRecording(
    async (made) => {
      const before = performance.now()
      const beginning = await seek(made.scope, made.recording, { ms: 39_700, budget: { ...SEEK_BUDGET, work: 4_000_000 } })
      expect(performance.now() - before).toBeLessThan(5000)
      expect(beginning?.isReached).toBe(false)
      const { seq = 0, events = [] } = beginning ?? {}
      expect(seq).toBeLessThan(3)
      expect(events.map(({ data }) => data).join('').length).toBeGreaterThan(10_000)
    },
    (i) => ['\x1b[2J\x1b[65535b'.repeat(4000), `end ${i}`],
  ))

test('a chunk that is lost is told, and what was played over it is kept for nobody', () =>
  onRecording(async (made) => {
    await env.RECORDINGS.delete(keyOfChunk(ORG, made.recording.id, 9))
    expect((await seen(made, 36_500)).isReached).toBe(true)
    expect((await keyframes(made.recording.id)).map((key) => Number(key.slice(-8)))).toEqual([7])
  }))

test('a recording that is gone keeps no keyframe', () =>
  onRecording(async (made) => {
    const { scope, recording } = made
    const now = { ...beginPlaying(recording), seq: 7, chunkHash: '0'.repeat(64) }
    await keepKeyframe(scope, recording, now)
    expect(await keyframes(recording.id)).toHaveLength(1)
    await scope.db.batch([...deleteRecording(scope.db, recording.id)])
    await keepKeyframe(scope, recording, now)
    expect(await keyframes(recording.id)).toEqual([])
  }))
