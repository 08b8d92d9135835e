import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMAND_CHARS_MAX, EXEC_OUTPUT_BYTES_MAX } from '../../src/contract/shell.ts'
import { createCapture } from '../../src/edge/shell/capture.ts'
import { describeWith } from '../requires.ts'
import { isGone, problemOf, type Rig, startRig, until } from './rig.ts'

describeWith('sshd', 'a waited command', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig()
  })
  afterAll(() => rig.stop())
  const exec = (command: string, timeoutSeconds = 30) =>
    rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command, timeoutSeconds } })
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

  test('is refused to readers and strangers, and nothing is on record', async () => {
    const [reader, stranger] = [await rig.member('reader'), await rig.edge.signUp('stranger')]
    const asked = { params: { hostId: rig.host.id }, body: { command: 'id' } }
    expect(await problemOf(reader.client.execCommand(asked))).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(stranger.client.execCommand(asked))).toMatchObject({ slug: 'not-found' })
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
