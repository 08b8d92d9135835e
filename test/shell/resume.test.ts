import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ShellView } from '../../src/client/client.ts'
import { describeWith } from '../requires.ts'
import { killRuntime } from '../workerd.ts'
import { isGone, problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

/** Numbered lines between two marks: enough that no buffer on the way holds them all. */
const ROWS = 400_000
const flood = `stty -echo; printf 'BE''GIN\\n'; seq 1 ${ROWS}; printf 'E''ND\\n'\n`
const expected = Array.from({ length: ROWS }, (_, i) => `${i + 1}\r\n`).join('')
const sha = (text: string) => createHash('sha256').update(text).digest('hex')
const between = (text: string) => text.slice(text.indexOf('BEGIN\r\n') + 7, text.indexOf('END\r\n'))

describeWith('sshd', 'a shell whose way is cut', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig({ relayEnv: { RELAY_HEARTBEAT_SECONDS: '1' } })
  })
  afterAll(() => rig.stop())

  async function open(output?: (chunk: Uint8Array) => Promise<void> | void) {
    const screen = screenOf()
    const gaps: unknown[] = []
    const view = await rig.owner.client.shells.open(
      { body: { hostId: rig.host.id } },
      {
        async output(chunk) {
          screen.output(chunk)
          await output?.(chunk)
        },
      },
    )
    view.on('gap', (gap) => gaps.push(gap))
    await screen.until('$ ')
    return { view, screen, gaps }
  }
  const exec = (command: string) => rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command, timeoutSeconds: 20 } })
  async function end(view: ShellView) {
    view.write('exit\n')
    await view.finished()
  }

  test('between the object and the relay loses and doubles no byte of output', async () => {
    const { view, screen, gaps } = await open()
    view.write(flood)
    const attached = () => rig.relay().events('shell-attached').length
    for (const [cuts, mark] of [200_000, 700_000, 1_200_000, 1_800_000].entries()) {
      await until(() => screen.bytes() > mark)
      rig.network.cut()
      await until(() => attached() > cuts)
    }
    await screen.until('END\r\n', 30_000)
    expect(sha(between(screen.text()))).toBe(sha(expected))
    expect(gaps).toEqual([])
    await end(view)
  })

  test('between the object and the relay loses and doubles no keystroke', async () => {
    const { view, screen } = await open()
    view.write('stty -echo; cat > typed; wc -c < typed; sha256sum < typed\n')
    await until(() => rig.network.links() === 1)
    let typed = ''
    for (let i = 0; i < 300; i++) {
      const line = `line ${i} of what is typed\n`
      typed += line
      view.write(line)
      if (i % 60 === 30) rig.network.cut()
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await view.delivered()
    view.write('\x04')
    await screen.until(sha(typed))
    await end(view)
  })

  test('by the death of the runtime loses and doubles no byte either way', async () => {
    const { view, screen, gaps } = await open()
    view.write(`stty -echo; cat > typed; sha256sum < typed; ${flood}`)
    let typed = ''
    const kill = () => killRuntime(rig.edge)
    for (let i = 0; i < 90; i++) {
      const line = `line ${i} of what is typed\n`
      typed += line
      view.write(line)
      if (i % 30 === 15) await kill()
    }
    await view.delivered()
    view.write('\x04')
    await screen.until(sha(typed), 30_000)
    for (const mark of [300_000, 1_200_000]) {
      await until(() => screen.bytes() > mark, 30_000)
      await kill()
    }
    await screen.until('END\r\n', 60_000)
    expect(sha(between(screen.text()))).toBe(sha(expected))
    expect(gaps).toEqual([])
    await end(view)
  }, 120_000)

  test('without a word, as by a dead router, is noticed by the missing heartbeat and goes on', async () => {
    const { view, screen } = await open()
    rig.network.freeze()
    view.write('echo he""re again\n')
    await screen.until('here again', 20_000)
    await end(view)
    rig.network.cut()
  })

  test('by its viewer detaches, lives on, and goes on where it was', async () => {
    const { view, screen } = await open()
    view.write('echo fi""rst; (sleep 1; echo sec""ond; touch done) &\n')
    await screen.until('first')
    const seen = screen.bytes()
    view.close()
    await until(async () => (await rig.owner.client.getShell({ params: { shellId: view.id } })).state === 'detached')
    await until(() => rig.network.links() === 0)
    expect((await exec('until test -e done; do sleep 0.1; done; echo it ran on')).stdout).toBe('it ran on\n')
    const again = screenOf()
    const back = rig.owner.client.shells.attach(view.id, { output: again.output, since: seen })
    await again.until('second')
    expect(again.text()).not.toContain('first')
    back.write('echo thi""rd\n')
    await again.until('third')
    expect(await rig.owner.client.getShell({ params: { shellId: view.id } })).toMatchObject({ state: 'open' })
    await end(back)
  })

  test('by its viewer, and whose program ends meanwhile, is known to have ended, with its last words', async () => {
    const { view } = await open()
    view.write(`stty -echo; printf 'la''st words\\n'; while test ! -e gone; do sleep 0.1; done; exit 7\n`)
    await view.delivered()
    view.close()
    const state = async () => rig.owner.client.getShell({ params: { shellId: view.id } })
    await until(async () => (await state()).state === 'detached')
    await exec('touch gone')
    expect(await until(async () => (await state()).state === 'closed' && state(), 25_000)).toMatchObject({
      reason: 'The remote program ended with exit code 7.',
    })
    const again = screenOf()
    await rig.owner.client.shells.attach(view.id, { output: again.output }).finished()
    expect(again.text()).toContain('last words')
  })

  test('at the relay itself fails with a reason, since its program is gone', async () => {
    const { view } = await open()
    await rig.relay().kill()
    await rig.restartRelay()
    expect(await view.finished()).toMatchObject({ state: 'failed', reason: expect.stringContaining('it was restarted') })
    await until(async () => (await rig.owner.client.getShell({ params: { shellId: view.id } })).state === 'failed')
  })

  test('while a command is awaited costs the command nothing', async () => {
    const running = exec('echo a; touch begun; sleep 3; echo b')
    await exec('until test -e begun; do sleep 0.1; done')
    rig.network.cut()
    expect(await running).toMatchObject({ exitCode: 0, stdout: 'a\nb\n' })
  })

  test('while a command is awaited, for good, says that nobody knows how it ended and never runs it again', async () => {
    const running = problemOf(exec('echo x >> ran; sleep 5'))
    await exec('until test -e ran; do sleep 0.1; done')
    await rig.relay().kill()
    await rig.restartRelay()
    expect(await running).toMatchObject({ slug: 'host-unreachable', detail: expect.stringContaining('not known') })
    const { results } = await (await rig.edge.reopenDb())
      .prepare("SELECT state, problem, ended_at FROM shell_commands WHERE command LIKE '%>> ran%'")
      .all()
    expect(results).toEqual([{ state: 'unknown', problem: 'host-unreachable', ended_at: expect.any(Number) }])
    expect((await exec('cat ran')).stdout).toBe('x\n')
  })

  test('while a command is being opened leaves a recording that says what its record says, for it may have run', async () => {
    const guest = await rig.member('operator')
    const listener = Number(readFileSync(join(rig.sshd.directory, 'pid'), 'utf8'))
    // Connections to the host, as the kernel has them: it takes them although nobody answers.
    const knocks = () =>
      execFileSync('ss', ['-Htn', 'state', 'established', `dport = :${rig.sshd.port}`], { encoding: 'utf8' }).split('\n').length
    const before = knocks()
    process.kill(listener, 'SIGSTOP')
    try {
      const running = problemOf(guest.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'echo half' } }))
      await until(() => knocks() > before)
      // The relay was asked, and nobody will ever say whether it began.
      await rig.relay().kill()
      await rig.restartRelay()
      const problem = await running
      const { items } = await guest.client.listCommands({ params: { orgId: rig.org.id }, query: { userId: guest.id } })
      const kept = await until(async () => {
        const page = await guest.client.listRecordings({ params: { orgId: rig.org.id }, query: { userId: guest.id } })
        return page.items.every(({ endedAt }) => endedAt) && page.items
      })
      expect(problem).toMatchObject({ slug: 'host-unreachable', detail: expect.stringContaining('not known') })
      expect(items).toMatchObject([{ command: 'echo half', state: 'unknown', exitCode: null }])
      expect(kept).toMatchObject([{ shellId: items[0]?.id, bytes: 0, gaps: 0, signed: expect.any(String) }])
      expect(await rig.owner.client.verifyRecording({ params: { shellId: items[0]?.id ?? '' } })).toMatchObject({
        status: 'intact',
        isSigned: true,
      })
    } finally {
      process.kill(listener, 'SIGCONT')
    }
  }, 60_000)

  test('while the relay cannot be reached: calls say so and when to come back, and the shell goes on afterwards', async () => {
    const { view, screen } = await open()
    rig.network.block(true)
    expect(await problemOf(rig.owner.client.openShell({ body: { hostId: rig.host.id } }))).toMatchObject({ slug: 'unavailable' })
    view.write('echo still he""re\n')
    await until(async () => (await rig.owner.client.getShell({ params: { shellId: view.id } })).state === 'connecting')
    rig.network.block(false)
    await screen.until('still here', 30_000)
    await end(view)
  })

  const kills = {
    network: async () => rig.network.cut(),
    runtime: () => killRuntime(rig.edge),
    relay: async () => {
      await rig.relay().kill()
      await rig.restartRelay()
    },
  }
  /** What one awaits below may end either way; how is looked at where it matters. */
  const settled = <T>(call: Promise<T>) =>
    call.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
  const numbers = (upTo: number) => Array.from({ length: upTo }, (_, i) => `${i + 1}\n`).join('')
  const recordingOf = async (shellId: string) => {
    const kept = await until(async () => {
      const recording = await rig.owner.client.getRecording({ params: { shellId } })
      return recording.endedAt !== undefined && recording
    }, 30_000)
    const { path } = await rig.owner.client.createRecordingFile({ params: { shellId }, body: { format: 'raw', purpose: 'view' } })
    return { gaps: kept.gaps, text: await (await rig.edge.request(path)).text() }
  }

  test.each(['network', 'runtime', 'relay'] as const)(
    'at the %s under shells at every step: what was acknowledged was done once and in order, what is recorded is what the host sent, and nothing stays half open',
    async (victim) => {
      const isRelay = victim === 'relay'
      const [typing, showing, ending] = [await open(), await open(), await open()]
      ending.view.write('echo pi""d-$$-\n')
      const pid = Number(/pid-(\d+)-/.exec(await ending.screen.until((text) => /pid-\d+-/.test(text)))?.[1])
      const running = settled(exec(`echo x >> ${victim}-ran; sleep 2; echo over`))
      await exec(`until test -e ${victim}-ran; do sleep 0.05; done`)
      typing.view.write('stty -echo\n')
      for (let i = 1; i <= 20; i++) typing.view.write(`echo ${i} >> ${victim}-typed\n`)
      showing.view.write(flood)
      await until(() => showing.screen.bytes() > 300_000)
      const opening = settled(rig.owner.client.openShell({ body: { hostId: rig.host.id } }))
      const closing = settled(ending.view.end())
      await kills[victim]()
      for (let i = 21; i <= 40; i++) typing.view.write(`echo ${i} >> ${victim}-typed\n`)

      const ran = await running
      expect(ran).toMatchObject(victim === 'network' ? { value: { exitCode: 0, stdout: 'over\n' } } : { error: expect.anything() })
      expect((await exec(`cat ${victim}-ran`)).stdout).toBe('x\n')
      if (isRelay) expect(await typing.view.finished()).toMatchObject({ state: 'failed' })
      else {
        await typing.view.delivered()
        await end(typing.view)
      }
      const typed = (await exec(`cat ${victim}-typed`)).stdout
      expect(numbers(40).startsWith(typed)).toBe(true)
      if (!isRelay) expect(typed).toBe(numbers(40))

      if (isRelay) await showing.view.finished()
      else {
        await showing.screen.until('END\r\n', 60_000)
        await end(showing.view)
      }
      const { text, gaps } = await recordingOf(showing.view.id)
      expect([gaps, showing.gaps, text.startsWith(showing.screen.text())]).toEqual([0, [], true])
      if (isRelay) expect(expected.startsWith(text.slice(text.indexOf('BEGIN\r\n') + 7))).toBe(true)
      else expect(sha(between(text))).toBe(sha(expected))

      const opened = await opening
      if ('value' in opened) await rig.owner.client.closeShell({ params: { shellId: opened.value.id } })
      await closing
      await rig.owner.client.closeShell({ params: { shellId: ending.view.id } })
      await until(() => isGone(pid))
      await until(
        async () => (await rig.owner.client.listShells()).items.every(({ state }) => state === 'closed' || state === 'failed'),
        30_000,
      )
    },
    120_000,
  )
})
