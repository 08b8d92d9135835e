import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { RING_BYTES_MAX } from '../../src/contract/krp.ts'
import { describeWith } from '../requires.ts'
import { execRequest, keyOf, shellRequest, startTestRelay, type TestRelay } from './harness.ts'
import type { TestLink, TestStream } from './krp-client.ts'
import { type Sshd, startSshd } from './sshd.ts'

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')

describeWith('sshd', 'a shell outlives its link', () => {
  let sshd: Sshd
  let relay: TestRelay
  beforeAll(async () => {
    sshd = await startSshd()
    relay = await startTestRelay([sshd.port])
  })
  afterAll(async () => {
    await relay.relay.close()
    await sshd.stop()
  })

  /** Dials as the same object with the next epoch and goes on where `before` stopped. */
  const comeBack = async (sub: string, before: TestStream): Promise<{ link: TestLink; stream: TestStream }> => {
    const link = await relay.link({ sub })
    const stream = link.attach(before.shell, before.outOffset())
    const { inOffset } = await stream.attached()
    stream.setInOffset(inOffset)
    return { link, stream }
  }

  test('over many cuts in mid-stream no byte of output is lost or doubled', async () => {
    const sub = 'object-output'
    const whole = Array.from({ length: 600_000 }, (_, i) => `${i + 1}\n`).join('')
    let link = await relay.link({ sub })
    let stream = await link.open(execRequest(sshd, 'seq 600000'), keyOf(sshd), { creditBytes: 50_000 })
    await stream.opened()
    const parts: Buffer[] = []
    for (let cut = 1; cut <= 25; cut += 1) {
      const enough = stream.outOffset() + 20_000 + cut * 1_111
      await link.wire.until(() => stream.outOffset() >= enough || link.wire.seen.some(({ name }) => name === 'EXIT'))
      link.wire.cut()
      parts.push(stream.outBytes())
      ;({ link, stream } = await comeBack(sub, stream))
    }
    expect(await stream.exit()).toMatchObject({ code: 0, offset: whole.length })
    parts.push(stream.outBytes())
    expect(md5(Buffer.concat(parts))).toBe(md5(Buffer.from(whole)))
  })

  test('input sent again after a cut is typed once', async () => {
    const sub = 'object-input'
    let link = await relay.link({ sub })
    let stream = await link.open(execRequest(sshd, 'cat'), keyOf(sshd))
    await stream.opened()
    const lines = Array.from({ length: 40 }, (_, i) => `line ${i}\n`)
    let sent = ''
    let echoed = ''
    for (const [i, line] of lines.entries()) {
      stream.send(line)
      sent += line
      if (i % 8 !== 7) continue
      // Cut without waiting: what arrived is known only from ATTACHED; everything before is sent twice on purpose.
      link.wire.cut()
      const before = stream
      ;({ link, stream } = await comeBack(sub, before))
      echoed += before.stdout()
      const arrived = stream.inOffset()
      const again = Math.max(0, arrived - 20)
      stream.setInOffset(again)
      stream.send(sent.slice(again))
    }
    stream.endInput()
    await stream.exit()
    expect(echoed + stream.stdout()).toBe(lines.join(''))
  })

  test('an interactive shell keeps its state and its processes', async () => {
    const sub = 'object-state'
    let link = await relay.link({ sub })
    let stream = await link.open(shellRequest(sshd), keyOf(sshd))
    await stream.opened()
    stream.send("PS1=; stty -echo; MARK=kept; cd /; echo rea''dy\n")
    await stream.untilOutput('ready\r\n')
    link.wire.cut()
    ;({ link, stream } = await comeBack(sub, stream))
    stream.send('echo $MARK in $PWD\n')
    await stream.untilOutput('kept in /\r\n')
    stream.send('exit 4\n')
    expect(await stream.exit()).toMatchObject({ code: 4 })
  })

  test('a later epoch fences the earlier link and takes its shells', async () => {
    const sub = 'object-fence'
    const first = await relay.link({ sub })
    const stream = await first.open(execRequest(sshd, 'cat'), keyOf(sshd))
    await stream.opened()
    const { link, stream: same } = await comeBack(sub, stream)
    expect(await first.wire.untilClosed()).toBe('fenced')
    same.send('still here\n')
    await same.untilOutput('still here\n')
    same.close()
    await link.wire.untilFrame('CLOSE', same.id)
    link.wire.cut()
  })

  test('an earlier or equal epoch is refused while a later one lives', async () => {
    const sub = 'object-stale'
    const current = await relay.link({ sub, epoch: 1_000 })
    await expect(relay.link({ sub, epoch: 1_000 })).rejects.toThrow('epoch-stale')
    await expect(relay.link({ sub, epoch: 999 })).rejects.toThrow('epoch-stale')
    expect(current.wire.isClosed()).toBe(false)
    current.wire.cut()
  })

  test('another object, or the same name in another organisation, finds no shell', async () => {
    const mine = await relay.link({ sub: 'object-mine' })
    const stream = await mine.open(execRequest(sshd, 'sleep 30'), keyOf(sshd))
    await stream.opened()
    mine.wire.cut()
    for (const stranger of [{ sub: 'object-other' }, { sub: 'object-mine', tenant: 'org_2' }]) {
      const link = await relay.link(stranger)
      expect(await link.attach(stream.shell, 0).failed()).toBe('shell-unknown')
      link.wire.cut()
    }
    const back = await comeBack('object-mine', stream)
    back.stream.close()
    await back.link.wire.untilFrame('CLOSE', back.stream.id)
    back.link.wire.cut()
  })

  test('an offset ahead of the output is refused, one behind what was acknowledged is told as a gap', async () => {
    const sub = 'object-gap'
    const link = await relay.link({ sub })
    const stream = await link.open(execRequest(sshd, 'echo 0123456789; cat'), keyOf(sshd))
    await stream.opened()
    await stream.untilOutput('0123456789\n')
    link.wire.control('PING', 0, { id: 5 })
    await link.wire.untilFrame('PONG', 0)
    link.wire.cut()
    const next = await relay.link({ sub })
    expect(await next.attach(stream.shell, 12).failed()).toBe('offset-unknown')
    const same = next.attach(stream.shell, 4, { isSilent: true })
    expect(await next.wire.untilFrame('GAP', same.id)).toEqual({ from: 4, to: 11 })
    expect(await same.attached()).toMatchObject({ firstOffset: 11, nextOffset: 11 })
    same.close()
    await next.wire.untilFrame('CLOSE', same.id)
    next.wire.cut()
  })

  test('the end of a program that nobody heard is told to the one who comes back', async () => {
    const sub = 'object-end'
    const link = await relay.link({ sub })
    const stream = await link.open(execRequest(sshd, 'read line; echo bye; exit 5'), keyOf(sshd), { creditBytes: 1 })
    await stream.opened()
    stream.send('go\n')
    link.wire.control('PING', 0, { id: 6 })
    await link.wire.untilFrame('PONG', 0)
    link.wire.cut()
    const back = await comeBack(sub, stream)
    expect(await back.stream.exit()).toMatchObject({ code: 5 })
    expect(stream.stdout() + back.stream.stdout()).toBe('bye\n')
    back.link.wire.cut()
  })

  test('a shell whose dialer stays away is ended on the host', async () => {
    const sub = 'object-away'
    const link = await relay.link({ sub })
    const stream = await link.open(execRequest(sshd, 'echo $$; exec sleep 66', { detachSeconds: 1 }), keyOf(sshd))
    const pid = Number(await stream.untilOutput('\n'))
    link.wire.cut()
    const next = await relay.link({ sub })
    const again = next.attach(stream.shell, stream.outOffset())
    await again.attached()
    next.wire.cut()
    await expect.poll(() => relay.events('shell-detached').filter((event) => event['shell'] === stream.shell).length).toBe(2)
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), { timeout: 10_000 })
    const back = await comeBack(sub, stream)
    expect(await back.stream.exit()).toMatchObject({ cause: 'detached-too-long', killed: 'confirmed' })
    back.link.wire.cut()
  })

  test('a shell of which its dialer may never have heard waits a minute, and not as long as one that it has spoken to', async () => {
    const asked = { detachSeconds: 600 }
    const heard = await relay.link({ sub: 'object-heard' })
    const kept = await heard.open(shellRequest(sshd, asked), keyOf(sshd))
    await kept.opened()
    kept.acknowledge()
    const unheard = await relay.link({ sub: 'object-unheard' })
    const left = await unheard.open(execRequest(sshd, 'exec sleep 67', asked), keyOf(sshd))
    await left.opened()
    const waits = (stream: TestStream) =>
      relay
        .events('shell-detached')
        .filter((event) => event['shell'] === stream.shell)
        .map(({ waitSeconds }) => waitSeconds)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      heard.wire.cut()
      unheard.wire.cut()
      await vi.waitUntil(() => waits(left).length + waits(kept).length === 2)
      expect([waits(kept), waits(left)]).toEqual([[600], [60]])
      vi.advanceTimersByTime(60_000)
    } finally {
      vi.useRealTimers()
    }
    const back = await comeBack('object-unheard', left)
    expect(await back.stream.exit()).toMatchObject({ cause: 'detached-too-long', killed: 'confirmed' })
    // Who comes back has heard of it, whatever was said before.
    const again = await comeBack('object-heard', kept)
    again.stream.close()
    for (const { link } of [back, again]) link.wire.cut()
  })

  test('a command that is stopped while its output waits still delivers all of it before its end', async () => {
    const sub = 'object-slow'
    const link = await relay.link({ sub })
    const stream = await link.open(execRequest(sshd, 'echo $$; yes; true', { timeoutSeconds: 1 }), keyOf(sshd), {
      creditBytes: 1000,
      isSilent: true,
    })
    await stream.opened()
    const pid = Number((await stream.untilOutput('\n')).split('\n')[0])
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), { timeout: 8_000 })
    while (!link.wire.seen.some(({ name }) => name === 'EXIT')) {
      const from = stream.outOffset()
      stream.acknowledge()
      stream.credit(100_000)
      await link.wire.until(() => stream.outOffset() > from || link.wire.seen.some(({ name }) => name === 'EXIT'))
    }
    expect(await stream.exit()).toMatchObject({ cause: 'timeout', killed: 'confirmed' })
    expect(stream.outOffset()).toBeGreaterThan(RING_BYTES_MAX)
    link.wire.cut()
  })

  test('a dialer that gives no credit stops the program, not the relay: memory stays bounded and nothing is lost', async () => {
    const sub = 'object-silent'
    const link = await relay.link({ sub })
    const bytes = 60_000_000
    const stream = await link.open(execRequest(sshd, `head -c ${bytes} /dev/zero; sleep 0.1`), keyOf(sshd), {
      creditBytes: 1000,
      isSilent: true,
    })
    await stream.opened()
    await link.wire.until(() => stream.outOffset() === 1000)
    const before = process.memoryUsage.rss()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(process.memoryUsage.rss() - before).toBeLessThan(20_000_000)
    expect(stream.outOffset()).toBe(1000)
    // The ring is full and its bytes wait unacknowledged: credit alone moves no more than the ring holds.
    stream.credit(4_000_000)
    await link.wire.until(() => stream.outOffset() >= RING_BYTES_MAX)
    let total = stream.outOffset()
    while (total < bytes) {
      stream.acknowledge()
      stream.credit(1)
      await link.wire.until(() => stream.outOffset() > total)
      stream.credit(stream.outOffset() - total)
      total = stream.outOffset()
    }
    stream.acknowledge()
    expect(await stream.exit()).toMatchObject({ code: 0, offset: bytes })
    link.wire.cut()
  })
})
