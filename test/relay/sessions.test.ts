import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GrantRequest } from '../../src/contract/krp.ts'
import { describeWith } from '../requires.ts'
import { execRequest, keyOf, shellRequest, startTestRelay, type Target, type TestRelay } from './harness.ts'
import type { TestLink } from './krp-client.ts'
import { type Sshd, startSshd } from './sshd.ts'

/** Processes of a group that are no zombies. */
const livingInGroup = (group: number): string[] =>
  execFileSync('ps', ['-A', '-o', 'pgid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => new RegExp(`^\\s*${group}\\s+[^Z\\s]`).test(line))

describeWith('sshd', 'commands and shells on a real sshd', () => {
  let sshd: Sshd
  let relay: TestRelay
  let link: TestLink
  beforeAll(async () => {
    sshd = await startSshd()
    relay = await startTestRelay([sshd.port])
    link = await relay.link()
  })
  afterAll(async () => {
    await relay.relay.close()
    await sshd.stop()
  })
  const exec = async (command: string, more: Partial<GrantRequest & { kind: 'exec' }> = {}) => {
    const stream = await link.open(execRequest(sshd, command, more), keyOf(sshd))
    await stream.opened()
    return stream
  }
  /** A shell that echoes nothing and prompts for nothing. */
  const quietShell = async () => {
    const stream = await link.open(shellRequest(sshd), keyOf(sshd))
    await stream.opened()
    stream.send("PS1=; stty -echo; bind 'set enable-bracketed-paste off' 2>/dev/null; echo rea''dy\n")
    await stream.untilOutput('ready\r\n')
    return stream
  }

  test('a command gives its output, its errors and its exit code', async () => {
    const stream = await link.open(execRequest(sshd, 'echo out; echo err >&2; exit 7'), keyOf(sshd))
    const { hostKey } = await stream.opened()
    expect(hostKey?.fingerprint).toBe(sshd.hostKeys[0]?.fingerprint)
    expect(await stream.exit()).toMatchObject({ code: 7, signal: null })
    expect(stream.stdout()).toBe('out\n')
    expect(stream.stderr()).toBe('err\n')
  })

  test('errors beyond every window are read although nobody asked for them, and hold up no output', async () => {
    const stream = await link.open(execRequest(sshd, 'head -c 6000000 /dev/zero | tr "\\0" e >&2; echo then'), keyOf(sshd))
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ code: 0 })
    expect([stream.stderr().length, stream.stdout()]).toEqual([6_000_000, 'then\n'])
  })

  test('a command is data: quotes, newlines and dollars mean what the remote shell makes of them, once', async () => {
    const stream = await exec(`printf '%s\\n' "$(printf 'a;b')" 'c $HOME' "d
e"`)
    await stream.exit()
    expect(stream.stdout()).toBe('a;b\nc $HOME\nd\ne\n')
  })

  test('only variables of the allow-list travel, and they arrive', async () => {
    const stream = await exec('echo "$PARVIS_WHO"', { env: { PARVIS_WHO: 'nobody' } })
    await stream.exit()
    expect(stream.stdout()).toBe('nobody\n')
    const bad = await link.open(execRequest(sshd, 'true', { env: { LD_PRELOAD: '/tmp/x.so' } }), keyOf(sshd))
    expect(await bad.failed()).toBe('grant-invalid')
  })

  test('input reaches the command, and its end too', async () => {
    const stream = await exec('wc -c')
    stream.send(Buffer.alloc(200_000, 'x'))
    stream.endInput()
    await stream.exit()
    expect(stream.stdout().trim()).toBe('200000')
  })

  test('megabytes of input wait for credit and arrive whole', async () => {
    const stream = await exec('md5sum')
    const whole = Buffer.alloc(5_000_000, 'parvis ')
    let granted = (await stream.opened()).creditBytes
    link.wire.events.on('frame', (seen) => {
      if (seen.stream === stream.id && seen.name === 'CREDIT') granted += seen.body.bytes
    })
    while (stream.inOffset() < whole.length) {
      const room = await link.wire.until(() => granted > stream.inOffset() && granted)
      stream.send(whole.subarray(stream.inOffset(), Math.min(room, stream.inOffset() + 100_000)))
    }
    stream.endInput()
    await stream.exit()
    expect(stream.stdout().slice(0, 32)).toBe(createHash('md5').update(whole).digest('hex'))
    expect(link.wire.seen.findLast((seen) => seen.name === 'ACK' && seen.stream === stream.id)?.body).toEqual({ offset: whole.length })
  })

  test('a shell has a terminal of the size that was asked for, and of the size it gets later', async () => {
    const stream = await quietShell()
    stream.send('stty size; echo $TERM\n')
    await stream.untilOutput('24 80\r\nxterm-256color\r\n')
    link.wire.control('RESIZE', stream.id, { cols: 132, rows: 50 })
    stream.send('stty size\n')
    await stream.untilOutput('50 132\r\n')
    stream.send('exit 3\n')
    expect(await stream.exit()).toMatchObject({ code: 3 })
  })

  test('a keystroke is echoed by the terminal', async () => {
    const stream = await link.open(shellRequest(sshd), keyOf(sshd))
    await stream.opened()
    stream.send('echo "key"-"stroke"')
    await stream.untilOutput('"key"-"stroke"')
    stream.send('\n')
    await stream.untilOutput('key-stroke\r\n')
    stream.send('exit\n')
    await stream.exit()
  })

  test('a keystroke is echoed as soon while targets flood what comes before their identification', async () => {
    const flood = createServer((socket) => {
      const line = Buffer.alloc(64 * 1024, 'welcome to the tar pit\n')
      socket.on('error', () => undefined)
      socket.on('drain', () => socket.write(line))
      socket.write(line)
    })
    await new Promise<void>((resolve) => flood.listen(0, '127.0.0.1', resolve))
    const { port } = flood.address() as AddressInfo
    const near = await startTestRelay([sshd.port, port])
    const typist = await (await near.link()).open(shellRequest(sshd), keyOf(sshd))
    await typist.opened()
    typist.send("echo rea''dy; cat > /dev/null\n")
    await typist.untilOutput('ready\r\n')
    let count = 0
    const slowest = async () => {
      const took: number[] = []
      for (let n = 0; n < 40; n++) {
        const startedAt = performance.now()
        count += 1
        typist.send(`k${count}.`)
        await typist.untilOutput(`k${count}.`)
        took.push(performance.now() - startedAt)
      }
      typist.send('\n')
      return took.sort((a, b) => a - b)[37] ?? 0
    }
    const alone = await slowest()
    let isOver = false
    let cut = 0
    const target: Target = { host: '127.0.0.1', port, user: 'u', privateKey: '', hostKeys: sshd.hostKeys }
    const crowd = Array.from({ length: 4 }, async (_, n) => {
      const other = await near.link({ tenant: `org_flood${n}` })
      for (; !isOver; cut++) {
        const stream = await other.open(execRequest(target, 'true'), { kind: 'password', password: 'x' })
        expect(await stream.failed()).toBe('target-not-ssh')
      }
    })
    const beside = await slowest()
    isOver = true
    await Promise.all(crowd)
    expect(cut).toBeGreaterThan(3)
    // Twenty milliseconds on a machine that has nothing else to do; where typing alone is slow, that much slower.
    expect(beside).toBeLessThan(Math.max(20, alone * 4))
    await near.relay.close()
    flood.close()
  })

  test('interrupt by keystroke and by signal both end a program', async () => {
    const stream = await quietShell()
    stream.send(`sh -c 'trap "echo caught; exit" INT; echo up; while :; do sleep 0.1; done'\n`)
    await stream.untilOutput('up\r\n')
    stream.send('\x03')
    await stream.untilOutput('caught\r\n')
    stream.close()
    expect(await link.wire.untilFrame('CLOSE', stream.id)).toEqual({ reason: 'dialer' })
    const command = await exec('echo up; exec sleep 62')
    await command.untilOutput('up')
    link.wire.control('SIGNAL', command.id, { signal: 'INT' })
    expect(await command.exit()).toMatchObject({ code: null, signal: 'INT' })
  })

  test('the dialer closes a shell, and its program ends with it', async () => {
    const command = await exec('echo pid $$; exec sleep 63')
    const pid = Number(/pid (\d+)/.exec(await command.untilOutput('\n'))?.[1])
    command.close()
    const exit = await link.wire.untilFrame('EXIT', command.id)
    expect(exit).toMatchObject({ cause: 'dialer', killed: 'confirmed', signal: 'TERM' })
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  test('a timeout ends the command on the host, its children too, and the host confirms it', async () => {
    const command = await exec('echo pid $$; sleep 64 & sleep 65', { timeoutSeconds: 1 })
    const pid = Number(/pid (\d+)/.exec(await command.untilOutput('\n'))?.[1])
    const exit = await command.exit()
    expect(exit).toMatchObject({ code: null, cause: 'timeout', killed: 'confirmed' })
    expect(livingInGroup(pid)).toEqual([])
  })

  test('a command that ignores TERM is killed, even after the end of its input', async () => {
    const command = await exec("trap '' TERM; echo deaf; while :; do sleep 0.1; done", { timeoutSeconds: 1 })
    command.endInput()
    await command.untilOutput('deaf')
    expect(await command.exit()).toMatchObject({ signal: 'KILL', cause: 'timeout', killed: 'confirmed' })
  })

  test('output beyond its limit ends the command', async () => {
    const command = await exec('yes', { outputBytesMax: 100_000 })
    expect(await command.exit()).toMatchObject({ cause: 'output-limit', killed: 'confirmed' })
    expect(command.outOffset()).toBeGreaterThan(100_000)
  })

  test('a scan tells the host key and logs in nowhere', async () => {
    const stream = await link.open({ kind: 'scan', host: sshd.host, port: sshd.port })
    const key = await link.wire.untilFrame('HOSTKEY', stream.id)
    expect(key).toEqual({ type: sshd.hostKeys[0]?.type, fingerprint: sshd.hostKeys[0]?.fingerprint, publicKey: sshd.hostKeys[0]?.key })
    expect(await link.wire.untilFrame('CLOSE', stream.id)).toEqual({ reason: 'done' })
    stream.close()
  })

  test('twenty commands at once on one link keep apart', async () => {
    const streams = await Promise.all(Array.from({ length: 20 }, (_, i) => exec(`seq ${i} 2000 | tail -n +1; echo end-${i}`)))
    await Promise.all(streams.map((stream) => stream.exit()))
    expect(streams.map((stream) => stream.stdout().trim().split('\n').at(-1))).toEqual(streams.map((_, i) => `end-${i}`))
  })

  test('ended shells leave nothing behind in the relay', async () => {
    link.wire.control('PING', 0, { id: 1 })
    await link.wire.untilFrame('PONG', 0)
    const response = await fetch(`http://127.0.0.1:${relay.relay.healthPort}/health/ready`)
    expect(await response.json()).toEqual({ status: 'ok', shells: 0, links: 1 })
  })
})
