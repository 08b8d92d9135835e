import { applyD1Migrations, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import type { HostId } from '../../src/contract/hosts.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import { RECORDING_BYTES_MAX } from '../../src/contract/recordings.ts'
import type { ShellId } from '../../src/contract/shell.ts'
import { objectScope } from '../../src/edge/platform/object-scope.ts'
import { createKeeper, type Keeper } from '../../src/edge/shell/keeper.ts'
import { createRecorder } from '../../src/edge/shell/recorder.ts'
import { type Chunk, decodeChunk, keyOfChunk } from '../../src/edge/shell/recording-chunk.ts'
import { createTape, openTape, type Tape } from '../../src/edge/shell/tape.ts'
import { TRACEPARENT } from './shell-peer.ts'

const ORG = 'org_record' as OrgId

beforeAll(async () => {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
  await env.DB.prepare("INSERT INTO orgs (id, name, created_at) VALUES (?, 'x', 0)").bind(ORG).run()
})

/** A recording in its object, with storage that can be taken away. */
interface Bench {
  readonly shellId: ShellId
  readonly keeper: Keeper
  readonly tape: Tape
  readonly show: (bytes: Uint8Array) => void
  readonly failed: string[]
  /** `mute`: it takes what it is given and never says so. */
  isDown: boolean | 'mute'
}

let count = 0
async function onBench(isStrict: boolean, work: (bench: Bench) => Promise<void>): Promise<void> {
  const shellId = `shl_record${++count}` as ShellId
  await env.DB.prepare(
    "INSERT INTO recordings (id, org_id, host_id, kind, columns, rows, started_at) VALUES (?, ?, 'hst_x', 'pty', 80, 24, ?)",
  )
    .bind(shellId, ORG, Date.now())
    .run()
  await runInDurableObject(env.SHELLS.getByName(shellId), async (_, ctx) => {
    const { sql } = ctx.storage
    createTape(sql)
    const of = { shellId, orgId: ORG, hostId: 'hst_x' as HostId, kind: 'pty' as const, traceparent: TRACEPARENT }
    const recorder = createRecorder(sql, { ...of, startedAt: Date.now(), isStrict, recordsInput: false })
    const tape = openTape(sql, () => recorder.state().keptOffset)
    const failed: string[] = []
    const down = () => (bench.isDown === 'mute' ? new Promise(() => undefined) : Promise.reject(new Error('storage is down')))
    const scope = () => {
      const whole = objectScope(ctx, env, TRACEPARENT)
      return bench.isDown ? { ...whole, env: { ...whole.env, RECORDINGS: { put: down } as unknown as R2Bucket } } : whole
    }
    const keeper = createKeeper({ recorder, tape, scope, onRoom: () => undefined, onFailed: (reason) => failed.push(reason) })
    recorder.change({ isOpened: true })
    const show = (bytes: Uint8Array) => {
      const offset = tape.nextOffset()
      tape.append(bytes)
      keeper.took(offset)
    }
    const bench: Bench = { shellId, keeper, tape, show, failed, isDown: false }
    await work(bench)
  })
}

const block = (fill: number) => new Uint8Array(64 * 1024).fill(fill)
async function chunksOf(shellId: ShellId, upTo: number): Promise<Chunk[]> {
  const objects = await Promise.all(Array.from({ length: upTo }, (_, seq) => env.RECORDINGS.get(keyOfChunk(ORG, shellId, seq))))
  return Promise.all(objects.map(async (object) => decodeChunk(await object!.arrayBuffer())))
}

test('storage that comes back in time costs nothing: all that waited is kept, and the relay was held back meanwhile', () =>
  onBench(false, async ({ shellId, keeper, show, tape }) => {
    show(block(1))
    for (let n = 0; n < 40; n++) show(block(2))
    expect(keeper.roomOffset()).toBeLessThan(tape.nextOffset() + 4 * 1024 * 1024)
    keeper.end()
    await keeper.keep()
    expect(keeper.isDone()).toBe(true)
    const { bytes, gaps, seq } = keeper.recorder.state()
    expect({ bytes, gaps }).toEqual({ bytes: 41 * 64 * 1024, gaps: 0 })
    const chunks = await chunksOf(shellId, seq)
    expect(chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0)).toBe(bytes)
    expect(chunks.every(({ head }, i) => head.firstOffset === chunks.slice(0, i).reduce((sum, c) => sum + c.bytes.length, 0))).toBe(true)
  }))

test('storage that stays away costs a gap that says how much is lost, and nothing else', () =>
  onBench(false, async (bench) => {
    const { shellId, keeper, show, tape } = bench
    show(block(1))
    show(new Uint8Array(15 * 64 * 1024).fill(1))
    await keeper.keep()
    const before = keeper.recorder.state()
    expect(before.keptOffset).toBe(tape.nextOffset())
    bench.isDown = true
    show(new Uint8Array(1024 * 1024).fill(2))
    await keeper.keep()
    expect(keeper.recorder.state().keptOffset).toBe(before.keptOffset)
    for (let n = 0; n < 80; n++) show(block(2))
    const lost = keeper.recorder.state().lostBytes
    expect(lost).toBeGreaterThan(0)
    bench.isDown = false
    show(block(3))
    keeper.end()
    await keeper.keep()
    expect(keeper.isDone()).toBe(true)
    const { gaps, seq, bytes } = keeper.recorder.state()
    expect(gaps).toBe(1)
    expect(bytes + lost).toBe(tape.nextOffset())
    const chunks = await chunksOf(shellId, seq)
    const marks = chunks.flatMap(({ head }) => head.marks).filter(({ kind }) => kind === 'g')
    expect(marks.map(({ data }) => data)).toEqual([String(lost)])
    expect(chunks.at(-1)?.bytes.at(-1)).toBe(3)
    expect(bench.failed).toEqual([])
  }))

test('a strict recording never gives output up: it holds the relay back and ends what it records', () =>
  onBench(true, async (bench) => {
    const { keeper, show, tape } = bench
    await keeper.begin()
    bench.isDown = true
    for (let n = 0; n < 100; n++) show(block(1))
    await keeper.keep()
    expect(keeper.roomOffset()).toBeLessThan(tape.nextOffset())
    expect(keeper.recorder.state().lostBytes).toBe(0)
    expect(bench.failed).toEqual([])
    await expect.poll(() => keeper.keep().then(() => bench.failed.length), { timeout: 10_000 }).toBeGreaterThan(0)
    expect(bench.failed[0]).toContain('recording could not be kept')
    bench.isDown = false
    keeper.end()
    await keeper.keep()
    expect(keeper.isDone()).toBe(true)
    expect(keeper.recorder.state()).toMatchObject({ gaps: 0, bytes: tape.nextOffset() })
  }))

test('a strict recording takes storage that does not answer for storage that fails', () =>
  onBench(true, async (bench) => {
    const { keeper, show, failed } = bench
    show(block(1))
    bench.isDown = 'mute'
    for (let n = 0; n < 16; n++) show(block(2))
    const since = keeper.recorder.state().keptOffset
    await keeper.keep()
    expect(failed).toHaveLength(1)
    show(block(3))
    bench.isDown = false
    keeper.end()
    await expect
      .poll(
        async () => {
          await keeper.keep()
          return keeper.isDone()
        },
        { timeout: 10_000 },
      )
      .toBe(true)
    const { bytes, seq } = keeper.recorder.state()
    expect(since).toBe(0)
    expect(bytes).toBe(18 * 64 * 1024)
    const [first] = await chunksOf(bench.shellId, seq)
    expect(first?.bytes.length).toBe(1024 * 1024)
  }))

test('a recording that is full costs the rest of the output and no more, and ends what is strict', async () => {
  await onBench(false, async (bench) => {
    const { keeper, show, tape } = bench
    show(block(1))
    show(new Uint8Array(15 * 64 * 1024).fill(1))
    await keeper.keep()
    keeper.recorder.change({ bytes: RECORDING_BYTES_MAX })
    for (let n = 0; n < 80; n++) show(block(2))
    await keeper.keep()
    expect(keeper.roomOffset()).toBe(Number.POSITIVE_INFINITY)
    expect(keeper.recorder.state()).toMatchObject({ lostBytes: 80 * 64 * 1024, gaps: 1, keptOffset: tape.nextOffset() })
    expect(bench.failed).toEqual([])
  })
  await onBench(true, async ({ keeper, show, failed }) => {
    await keeper.begin()
    keeper.recorder.change({ bytes: RECORDING_BYTES_MAX })
    for (let n = 0; n < 17; n++) show(block(2))
    await keeper.keep()
    expect(failed[0]).toContain('as long as one may be')
  })
})

test('what is recorded for an organisation that is gone leaves nothing behind', () =>
  onBench(false, async ({ shellId, keeper, show }) => {
    await env.DB.prepare('DELETE FROM recordings WHERE id = ?').bind(shellId).run()
    show(block(1))
    keeper.end()
    await keeper.keep()
    expect(keeper.isDone()).toBe(true)
    expect((await env.RECORDINGS.list({ prefix: `recordings/${ORG}/${shellId}/` })).objects).toEqual([])
  }))
