import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { COMMAND_CHARS_MAX, type CommandPart, EXEC_OUTPUT_BYTES_MAX } from '../../src/contract/shell.ts'
import { createCapture } from '../../src/edge/shell/capture.ts'
import { createCommandStream } from '../../src/edge/shell/command-stream.ts'
import { createPieceQueue } from '../../src/edge/shell/piece-queue.ts'
import type { ExecOrder } from '../../src/edge/shell/rpc.ts'
import type { TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { isGone, problemOf, type Rig, startRig, until } from './rig.ts'

describeWith('sshd', 'a command', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig()
    mkdirSync(work())
    chmodSync(work(), 0o777)
  })
  afterAll(() => rig.stop())
  const exec = (command: string, timeoutSeconds = 30) =>
    rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command, timeoutSeconds } })
  const work = (name = '') => join(rig.sshd.directory, 'work', name)
  const stream = (command: string, { user = rig.owner, timeoutSeconds = 60 }: { user?: TestUser; timeoutSeconds?: number } = {}) =>
    user.client.streamCommand({ params: { hostId: rig.host.id }, body: { command, timeoutSeconds } })
  /** The parts up to the first that holds this; reading goes on where it stood. */
  async function readUntil(parts: AsyncIterator<CommandPart>, text: string): Promise<string> {
    for (let seen = ''; ; ) {
      const { value, done } = await parts.next()
      if (done) throw new Error(`it ended before ${text}: ${seen}`)
      if (value.type === 'stdout') seen += value.text
      if (seen.includes(text)) return seen
    }
  }
  async function readAll(parts: AsyncIterable<CommandPart>) {
    const seen = { stdout: '', stderr: '', parts: [] as CommandPart[] }
    for await (const part of parts) {
      seen.parts.push(part)
      if (part.type === 'stdout' || part.type === 'stderr') seen[part.type] += part.text
    }
    return { ...seen, end: seen.parts.at(-1) }
  }
  const pidIn = (text: string) => Number(/pid=(\d+)\./.exec(text)?.[1])
  const logged = async (shellId: string) =>
    (await rig.edge.db.prepare('SELECT * FROM shell_commands WHERE id = ?').bind(shellId).all()).results[0]

  test('answers with its output, its errors and its exit code, and is on record', async () => {
    const result = await exec('echo out; echo err >&2; exit 3')
    expect(result).toEqual({
      shellId: expect.stringMatching(/^shl_/),
      exitCode: 3,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: false,
      timedOut: false,
      killed: null,
      durationMs: expect.any(Number),
    })
    expect(await logged(result.shellId)).toMatchObject({
      org_id: rig.org.id,
      host_id: rig.host.id,
      user_id: rig.owner.id,
      command: 'echo out; echo err >&2; exit 3',
      state: 'done',
      exit_code: 3,
      stdout_bytes: 4,
      stderr_bytes: 4,
      problem: null,
    })
    const { results } = await rig.edge.db
      .prepare("SELECT * FROM audit_entries WHERE action = 'shell.exec' AND subject = ?")
      .bind(result.shellId)
      .all()
    expect(results).toMatchObject([{ actor_id: rig.owner.id, org_id: rig.org.id, cause: rig.host.id }])
  })

  test('goes on with the connection of the same person’s command before it, and with nobody else’s', async () => {
    const at = { params: { hostId: rig.host.id }, body: { command: 'echo $PPID' } }
    const connection = async (user = rig.owner) => (await user.client.execCommand(at)).stdout
    const [own, operator] = [await connection(), await rig.member('operator')]
    expect(await connection()).toBe(own)
    expect((await readAll(await stream('echo $PPID'))).stdout).toBe(own)
    expect(await connection(operator)).not.toBe(own)
    const { results } = await rig.edge.db.prepare("SELECT count(*) AS n FROM shell_commands WHERE command = 'echo $PPID'").all()
    expect(results).toEqual([{ n: 4 }])
    await rig.owner.client.updateHost({ params: { hostId: rig.host.id }, body: { keepaliveSeconds: 20 } })
    expect(await connection()).not.toBe(own)
  })

  test('meets no shell of ours: quotes, newlines and every character arrive as they are', async () => {
    const result = await exec("cat <<'EOF'\n$(id) `id` \"q\" 's' \\ é 漢 🚪 ; rm -rf x\nEOF\nenv | grep -c LD_PRELOAD")
    expect(result.stdout).toBe('$(id) `id` "q" \'s\' \\ é 漢 🚪 ; rm -rf x\n0\n')
  })

  test('may be as long as the contract says, and not longer, and holds no NUL', async () => {
    const longest = `: ${'x'.repeat(COMMAND_CHARS_MAX - 2)}`
    expect(await exec(longest)).toMatchObject({ exitCode: 0 })
    expect(await problemOf(exec(`${longest}x`))).toMatchObject({ slug: 'invalid-request' })
    expect(await problemOf(exec('echo a\0b'))).toMatchObject({ slug: 'invalid-request' })
  })

  test('ends by a signal when it ends by a signal', async () => {
    expect(await exec('kill -9 $$')).toMatchObject({ exitCode: null, signal: 'KILL', timedOut: false })
  })

  test('that takes too long is stopped on the host, children too, and says so', async () => {
    const result = await exec('sleep 7777 & echo pids=$$,$!.; wait', 1)
    expect(result).toMatchObject({ timedOut: true, killed: 'confirmed' })
    const pids = /pids=(\d+),(\d+)\./.exec(result.stdout)?.slice(1).map(Number) ?? []
    expect(pids).toHaveLength(2)
    // Whoever has ended may still wait for its new parent to notice.
    for (const pid of pids) await until(() => isGone(pid))
    expect(await logged(result.shellId)).toMatchObject({ state: 'timed-out', killed: 'confirmed' })
  })

  test('that ignores the first signal is killed', async () => {
    expect(await exec("trap '' TERM; echo deaf; while :; do sleep 0.1; done", 1)).toMatchObject({
      stdout: 'deaf\n',
      timedOut: true,
      killed: 'confirmed',
    })
  })

  test('that says too much keeps its head and its tail', async () => {
    const result = await exec('echo first; seq 1 400000; echo last')
    expect(result).toMatchObject({ exitCode: 0, truncated: true })
    expect(result.stdout.startsWith('first\n1\n2\n')).toBe(true)
    expect(result.stdout.endsWith('399999\n400000\nlast\n')).toBe(true)
    const total = 'first\nlast\n'.length + Array.from({ length: 400_000 }, (_, i) => `${i + 1}\n`).join('').length
    expect(result.stdout).toContain(`[${total - EXEC_OUTPUT_BYTES_MAX} bytes dropped]`)
    expect((await logged(result.shellId))?.['stdout_bytes']).toBe(total)
  })

  test('that never stops talking is stopped by its timeout, and costs nobody else', async () => {
    const [endless, other] = await Promise.all([exec('yes', 3), exec('sleep 1; echo fine')])
    expect(endless.truncated).toBe(true)
    expect(endless.timedOut || endless.signal !== null || endless.exitCode !== 0).toBe(true)
    expect(other).toMatchObject({ stdout: 'fine\n' })
  })

  test('ten at once each get their own answer', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => exec(`sleep 0.${i}; echo ${i}; echo e${i} >&2`)))
    expect(answers.map((a) => a.stdout + a.stderr)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}\ne${i}\n`))
  })

  test('streamed, tells its output as it comes, characters whole, and then how it ended', async () => {
    writeFileSync(work('gate'), '')
    const command = `printf 'first \\342\\202'; while [ -e ${work('gate')} ]; do sleep 0.05; done; printf '\\254\\n'; echo err >&2; exit 3`
    const parts = await stream(command)
    const reading = parts[Symbol.asyncIterator]()
    const started = (await reading.next()).value
    expect(started).toEqual({ type: 'started', shellId: expect.stringMatching(/^shl_/) })
    expect(await readUntil(reading, 'first ')).toBe('first ')
    rmSync(work('gate'))
    const { stdout, stderr, end } = await readAll({ [Symbol.asyncIterator]: () => reading })
    expect([stdout, stderr]).toEqual(['\u20ac\n', 'err\n'])
    const { shellId } = started as CommandPart & { type: 'started' }
    const how = { exitCode: 3, signal: null, truncated: false, timedOut: false, killed: null, durationMs: expect.any(Number) }
    expect(end).toEqual({ type: 'end', shellId, ...how })
    expect(await logged(shellId)).toMatchObject({ state: 'done', exit_code: 3, stdout_bytes: 10, stderr_bytes: 4, command })
    const recording = await until(async () => {
      const found = await rig.owner.client.getRecording({ params: { shellId } })
      return found.endedAt !== undefined && found
    })
    expect(recording).toMatchObject({ kind: 'exec', bytes: 14 })
  })

  test('streamed, loses and doubles nothing by a cut of the link, and stands still while nobody takes it', async () => {
    const megabytes = 64
    const command = `for n in $(seq 1 ${megabytes}); do head -c 1048576 /dev/zero | tr '\\0' "$(printf %x $((n % 16)))"; echo . >> ${work('told')}; done`
    const parts = await stream(command)
    const reading = parts[Symbol.asyncIterator]()
    await readUntil(reading, '1')
    const told = () => (existsSync(work('told')) ? readFileSync(work('told'), 'utf8').length / 2 : 0)
    let last = -1
    await until(() => {
      const isStill = told() === last
      last = told()
      return isStill && new Promise<boolean>((resolve) => setTimeout(() => resolve(told() === last), 1_000))
    }, 60_000)
    expect(told()).toBeLessThan(megabytes)
    rig.network.cut()
    let bytes = 0
    let end: CommandPart | undefined
    for await (const part of { [Symbol.asyncIterator]: () => reading }) {
      if (part.type === 'stdout') bytes += part.text.length
      end = part
    }
    expect(end).toMatchObject({ type: 'end', exitCode: 0, truncated: false })
    // What was read above is missing here, and it is what the log counts besides.
    const { stdout_bytes: total } = (await logged((end as CommandPart & { type: 'end' }).shellId)) ?? {}
    expect(total).toBe(megabytes * 1_048_576)
    expect(megabytes * 1_048_576 - bytes).toBeLessThanOrEqual(65_536)
  }, 120_000)

  test('streamed, ends on the host when whoever takes it goes away, and the log has how', async () => {
    const parts = await stream('echo pid=$$.; sleep 7777 & wait')
    let shellId = ''
    let seen = ''
    for await (const part of parts) {
      if (part.type === 'started') shellId = part.shellId
      if (part.type === 'stdout') seen += part.text
      if (seen.includes('.')) break
    }
    await until(() => isGone(pidIn(seen)), 40_000)
    const end = await until(async () => {
      const row = await logged(shellId)
      return row?.['ended_at'] !== null && row
    })
    expect(end).toMatchObject({ state: 'done', signal: 'TERM', killed: 'confirmed', problem: null })
  }, 60_000)

  test('is stopped by whoever ran it and by owners, who hear whether the host confirmed it, and so does whoever waits', async () => {
    const operator = await rig.member('operator')
    const other = await rig.member('operator')
    const stranger = await rig.edge.signUp('stranger')
    const parts = (await stream("trap '' TERM; echo pid=$$.; while :; do sleep 0.1; done", { user: operator }))[Symbol.asyncIterator]()
    const { shellId } = (await parts.next()).value as CommandPart & { type: 'started' }
    const pid = pidIn(await readUntil(parts, '.'))
    const stop = (user: TestUser) => user.client.stopCommand({ params: { shellId } })
    expect(await problemOf(stop(other))).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(stop(stranger))).toMatchObject({ slug: 'not-found' })
    expect(isGone(pid)).toBe(false)
    expect(await stop(rig.owner)).toEqual({ killed: 'confirmed' })
    const { end } = await readAll({ [Symbol.asyncIterator]: () => parts })
    expect(end).toMatchObject({ type: 'end', exitCode: null, signal: 'KILL', killed: 'confirmed', timedOut: false })
    await until(() => isGone(pid))
    expect(await stop(operator)).toEqual({ killed: null })
    const { results } = await rig.edge.db
      .prepare("SELECT actor_id FROM audit_entries WHERE action = 'shell.stop' AND subject = ?")
      .bind(shellId)
      .all()
    expect(results).toEqual([{ actor_id: rig.owner.id }])
  })

  test('that is stopped while the host has not let it in never begins', async () => {
    const mark = work('begun-late')
    // Nobody has let this one in yet, so that no connection waits.
    const user = await rig.member('operator')
    const sshd = Number(readFileSync(join(rig.sshd.directory, 'pid'), 'utf8'))
    process.kill(sshd, 'SIGSTOP')
    try {
      const asked = problemOf(stream(`touch ${mark}`, { user }))
      const row = await until(async () => {
        const { results } = await rig.edge.db.prepare('SELECT id FROM shell_commands WHERE command = ?').bind(`touch ${mark}`).all()
        return results[0]
      })
      await rig.owner.client.stopCommand({ params: { shellId: row['id'] as never } })
      expect((await asked).detail).toMatch(/stopped before it began|connection broke/)
    } finally {
      process.kill(sshd, 'SIGCONT')
    }
    await exec('true')
    expect(existsSync(mark)).toBe(false)
  })

  test('is over with the role or the session of whoever waits for it or takes it, and at its timeout', async () => {
    const fallen = await rig.member('operator')
    const leaver = await rig.member('operator')
    const [demoted, left] = [await stream('sleep 7777', { user: fallen }), await stream('sleep 7777', { user: leaver })]
    const waited = problemOf(fallen.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'sleep 7776' } }))
    await until(async () => (await rig.edge.db.prepare("SELECT 1 FROM shell_commands WHERE command = 'sleep 7776'").all()).results[0])
    await rig.owner.client.putOrgMember({ params: { orgId: rig.org.id, userId: fallen.id }, body: { role: 'reader' } })
    await leaver.client.logout()
    expect(await waited).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(readAll(demoted))).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(readAll(left))).toMatchObject({ slug: 'session-ended' })
    const { end } = await readAll(await stream('sleep 7777', { timeoutSeconds: 1 }))
    expect(end).toMatchObject({ type: 'end', timedOut: true, killed: 'confirmed' })
  })

  test('is refused to readers and strangers, and nothing is on record', async () => {
    const [reader, stranger] = [await rig.member('reader'), await rig.edge.signUp('stranger')]
    const asked = { params: { hostId: rig.host.id }, body: { command: 'id' } }
    expect(await problemOf(reader.client.execCommand(asked))).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(stranger.client.execCommand(asked))).toMatchObject({ slug: 'not-found' })
    expect(await problemOf(reader.client.streamCommand(asked))).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(stranger.client.streamCommand(asked))).toMatchObject({ slug: 'not-found' })
    const { results } = await rig.edge.db.prepare("SELECT count(*) AS n FROM shell_commands WHERE command = 'id'").all()
    expect(results).toEqual([{ n: 0 }])
  })
})

test('a capture keeps head and tail of any flood in any pieces, and counts what it drops', () => {
  const text = Array.from({ length: 5000 }, (_, i) => `${i}\n`).join('')
  for (const size of [1, 7, 1000, 100_000]) {
    const capture = createCapture(1000)
    const bytes = new TextEncoder().encode(text)
    for (let at = 0; at < bytes.length; at += size) capture.push(bytes.subarray(at, at + size))
    expect(capture.totalBytes()).toBe(text.length)
    expect(capture.isTruncated()).toBe(true)
    expect(capture.text()).toBe(`${text.slice(0, 500)}\n[${text.length - 1000} bytes dropped]\n${text.slice(-500)}`)
  }
  const small = createCapture(1000)
  small.push(new TextEncoder().encode('é'))
  expect([small.text(), small.isTruncated()]).toEqual(['é', false])
  const split = createCapture(4)
  for (const byte of new TextEncoder().encode('aéb')) split.push(Uint8Array.of(byte))
  expect(split.text()).toBe('aéb')
})

test('a queue of output gives every byte in its order, by stream, however it came and is taken', async () => {
  const piece = fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 4_000 }))
  await fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1 }), (given, takes) => {
      const queue = createPieceQueue()
      const taken: [boolean, number][] = []
      const take = (bytesMax: number) => {
        const next = queue.take(bytesMax)
        for (const byte of next?.bytes ?? []) taken.push([next?.isStderr === true, byte])
        return next !== undefined
      }
      for (const [i, [isStderr, bytes]] of given.entries()) {
        queue.push(bytes, isStderr)
        if (i % 3 === 0) take(takes[i % takes.length] ?? 1)
      }
      while (take(65_536));
      const expected = given.flatMap(([isStderr, bytes]) => [...bytes].map((byte): [boolean, number] => [isStderr, byte]))
      expect(taken.length).toBe(expected.length)
      expect(taken.every(([isStderr, byte], i) => isStderr === expected[i]?.[0] && byte === expected[i]?.[1])).toBe(true)
    }),
    { numRuns: 20 },
  )
  const queue = createPieceQueue()
  for (let i = 0; i < 100_000; i++) queue.push(Uint8Array.of(i % 256), i % 2 === 0)
  for (let i = 0; i < 100_000; i++) expect(queue.take(10)?.bytes[0]).toBe(i % 256)
  expect(queue.take(10)).toBeUndefined()
})

test('a streamed command whose caller has left during the handshake, so that nobody takes its first part, is ended after fifteen seconds', async () => {
  vi.useFakeTimers()
  try {
    const order = { shellId: 'shl_untaken', traceparent: '' } as unknown as ExecOrder
    const begin = async () => {
      const left = vi.fn()
      const stream = createCommandStream(order, left)
      stream.sink.begun()
      return { left, body: await stream.follow(new Promise(() => undefined)) }
    }
    const untaken = await begin()
    const taken = await begin()
    await taken.body.getReader().read()
    vi.advanceTimersByTime(14_999)
    expect(untaken.left).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(untaken.left).toHaveBeenCalledOnce()
    vi.advanceTimersByTime(60_000)
    expect(taken.left).not.toHaveBeenCalled()
  } finally {
    vi.useRealTimers()
  }
})
