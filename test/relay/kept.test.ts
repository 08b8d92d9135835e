import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { GrantRequest } from '../../src/contract/krp.ts'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { certify, generateSshKey } from '../../src/edge/shell/certificate.ts'
import { describeWith } from '../requires.ts'
import { isGone, startNetwork, until } from '../shell/rig.ts'
import { execRequest, keyOf, startTestRelay, type Target, type TestRelay } from './harness.ts'
import type { TestLink } from './krp-client.ts'
import { startOddHost } from './odd-host.ts'
import { makeKey, type Sshd, startSshd } from './sshd.ts'

type Exec = GrantRequest & { kind: 'exec' }

describeWith('sshd', 'connections that wait for their next command', () => {
  let sshd: Sshd
  let relay: TestRelay
  let link: TestLink
  beforeAll(async () => {
    sshd = await startSshd({ lines: ['Subsystem sftp internal-sftp'] })
    relay = await startTestRelay([sshd.port])
    link = await relay.link()
  })
  afterAll(async () => {
    await relay.relay.close()
    await sshd.stop()
  })

  interface Asking extends Partial<Exec> {
    readonly via?: TestLink
    readonly target?: Target
    readonly credential?: RelayCredential
  }
  async function run(command: string, { via = link, target = sshd, credential = keyOf(target), ...more }: Asking = {}) {
    const stream = await via.open(execRequest(target, command, { keptFor: 'ada', ...more }), credential)
    await stream.opened()
    const exit = await stream.exit()
    return { exit, stdout: stream.stdout().trim() }
  }
  /** The process of sshd that serves the connection: another connection has another. */
  const connection = async (asking: Asking = {}) => Number((await run('echo $PPID', asking)).stdout)
  /** A relay of its own, and a link to it. */
  async function another(env: Record<string, string> = {}, target: Pick<Target, 'port'> = sshd) {
    const other = await startTestRelay([target.port], env)
    onTestFinished(() => other.relay.close())
    return { other, via: await other.link() }
  }

  test('the next command of the same person finds one logged in, and nothing of the command before', async () => {
    const first = await run('echo $PPID; export PARVIS_B=left; cd /; exit 3', { env: { PARVIS_A: 'first' } })
    expect(first.exit).toMatchObject({ code: 3 })
    const second = await run('echo $PPID; echo "$PARVIS_A$PARVIS_B"; pwd')
    const [pid, variables, place] = second.stdout.split('\n')
    expect([pid, variables]).toEqual([first.stdout, ''])
    expect(place).not.toBe('/')
    expect(relay.events('shell-opened').map(({ isKept }) => isKept)).toEqual([false, true])
  })

  test('commands at one time have a connection each', async () => {
    const pids = await Promise.all(Array.from({ length: 4 }, () => run('echo $PPID; sleep 0.3')))
    expect(new Set(pids.map(({ stdout }) => stdout)).size).toBe(4)
  })

  test('nobody but that person, there, by the same secrets, under the same pins, is served by it', async () => {
    const more = makeKey(join(sshd.directory, 'second'), 'ed25519')
    appendFileSync(join(sshd.directory, 'authorized_keys'), `${more.line}\n`)
    const stray = makeKey(join(sshd.directory, 'stray'), 'ed25519')
    const own = { keptFor: 'grace' }
    const pins = [...(execRequest(sshd, 'true') as Exec).pins, { type: 'ssh-ed25519' as const, fingerprint: stray.fingerprint }]
    const elsewhere = await relay.link({ tenant: 'org_2', sub: 'object-2' })
    const others: readonly Asking[] = [
      { keptFor: 'grace2' },
      { ...own, via: elsewhere },
      { ...own, pins },
      { ...own, credential: { kind: 'private-key', privateKey: readFileSync(more.path, 'utf8') } },
      { ...own, credential: { kind: 'private-key', privateKey: sshd.privateKey, passphrase: 'none' } },
      { ...own, algorithms: 'legacy' },
      { ...own, keepaliveSeconds: 7 },
    ]
    const first = await connection(own)
    const seen = new Set([first])
    for (const other of others) {
      const pid = await connection(other)
      expect(seen, JSON.stringify(Object.keys(other))).not.toContain(pid)
      seen.add(pid)
    }
    // A key that opens nothing there has no way in, however warm the connection is.
    const wrong = { kind: 'private-key' as const, privateKey: readFileSync(stray.path, 'utf8') }
    const refused = await link.open(execRequest(sshd, 'true', own), wrong)
    expect(await refused.failed()).toBe('login-refused')
    const unsealed = await link.open(execRequest(sshd, 'true', own), keyOf(sshd), { sealFor: { shell: 'shl_other' } })
    expect(await unsealed.failed()).toBe('credential-invalid')
    expect(await connection(own)).toBe(first)
  })

  test('a grant that names nobody keeps none', async () => {
    const nobody = { keptFor: undefined }
    expect(await connection(nobody)).not.toBe(await connection(nobody))
  })

  test('one that was stopped, by time or by whoever asked, serves nobody again', async () => {
    const own = { keptFor: 'edsger' }
    const late = await run('echo $PPID; exec sleep 61', { ...own, timeoutSeconds: 1 })
    expect(late.exit).toMatchObject({ cause: 'timeout', killed: 'confirmed' })
    const next = await connection(own)
    expect(String(next)).not.toBe(late.stdout)
    const stream = await link.open(execRequest(sshd, 'echo $PPID; exec sleep 62', own), keyOf(sshd))
    expect(await stream.untilOutput('\n')).toBe(`${next}\n`)
    stream.close()
    await link.wire.untilFrame('CLOSE', stream.id)
    expect(await connection(own)).not.toBe(next)
  })

  test('one that ended while it waited is not missed', async () => {
    const own = { keptFor: 'barbara' }
    const first = await connection(own)
    process.kill(first)
    await until(() => isGone(first))
    expect(await connection(own)).not.toBe(first)
  })

  test('one that died unheard is given up for a new one, on which the command runs once', async () => {
    const network = await startNetwork(sshd.port)
    onTestFinished(network.close)
    const { via } = await another({}, network)
    const asking = { via, target: { ...sshd, port: network.port } }
    const log = join(sshd.directory, 'ran')
    writeFileSync(log, '')
    chmodSync(log, 0o666)
    const first = await connection(asking)
    network.freeze()
    const second = await run(`echo once >>${log}; echo $PPID`, asking)
    expect(second.stdout).not.toBe(String(first))
    expect(readFileSync(log, 'utf8')).toBe('once\n')
  })

  test('a host that has room for one session at a time serves command after command, and many at once', async () => {
    const narrow = await startSshd({ lines: ['MaxSessions 1'] })
    onTestFinished(() => narrow.stop())
    const { via } = await another({}, narrow)
    for (let n = 0; n < 5; n++) expect((await run(`echo ${n}`, { via, target: narrow })).stdout).toBe(String(n))
    const many = await Promise.all(Array.from({ length: 6 }, (_, n) => run(`echo ${n}`, { via, target: narrow })))
    expect(many.map(({ stdout }) => stdout)).toEqual(['0', '1', '2', '3', '4', '5'])
  })

  test('where a kept connection is refused its channel, a new one does it', async () => {
    const host = await startOddHost('refuse')
    onTestFinished(host.close)
    const { via } = await another({}, host)
    const asking = { via, target: host, credential: { kind: 'password', password: 'any' } as const }
    for (const command of ['first', 'second', 'third']) await run(command, asking)
    expect(host.ran).toEqual(['1 first', '2 second', '3 third'])
  })

  test('a command that a host may have heard is not sent to it again', async () => {
    const host = await startOddHost('drop')
    onTestFinished(host.close)
    const { via } = await another({}, host)
    const asking = { via, target: host, credential: { kind: 'password', password: 'any' } as const }
    await run('first', asking)
    const dropped = await via.open(execRequest(host, 'second', { keptFor: 'ada' }), asking.credential)
    expect(await dropped.failed()).toBe('request-refused')
    await run('third', asking)
    expect(host.ran).toEqual(['1 first', '1 second', '2 third'])
  })

  test('a transfer and a command follow each other on one', async () => {
    const own = { keptFor: 'radia' }
    const first = await connection(own)
    const waiting = async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${relay.relay.healthPort}/metrics`)).text()
      return Number(/^parvis_relay_connections_kept (\d+)$/m.exec(metrics)?.[1])
    }
    const kept = await waiting()
    const { env: _env, command: _command, ...way } = execRequest(sshd, 'true', own) as Exec
    const list = {
      ...way,
      kind: 'file' as const,
      env: {},
      op: 'list' as const,
      path: '/',
      roots: ['/'],
      bytesMax: 0,
      detachSeconds: 0 as const,
    }
    for (let n = 0; n < 2; n++) {
      const stream = await link.open(list, keyOf(sshd))
      await stream.opened()
      expect(await stream.exit()).toMatchObject({ code: 0 })
      expect(JSON.parse(stream.stdout())).toMatchObject({ path: '/' })
      // The host is asked to end the transfer's own part of it first.
      await until(async () => (await waiting()) === kept)
    }
    expect(
      relay
        .events('shell-opened')
        .slice(-2)
        .map(({ isKept }) => isKept),
    ).toEqual([true, true])
    expect(await connection(own)).toBe(first)
  })

  test('they go when their time is over, and none waits where none may', async () => {
    const brief = await another({ RELAY_KEPT_SECONDS: '1' })
    const pid = await connection({ via: brief.via })
    await until(() => isGone(pid))
    const none = await another({ RELAY_KEPT_SECONDS: '0' })
    expect(await connection({ via: none.via })).not.toBe(await connection({ via: none.via }))
  })

  test('an organisation keeps so many, all of them so many more, and the oldest goes first', async () => {
    const { other, via } = await another({ RELAY_KEPT_PER_TENANT_MAX: '2', RELAY_KEPT_MAX: '3' })
    const elsewhere = await other.link({ tenant: 'org_2', sub: 'object-2' })
    const foreign = await connection({ via: elsewhere, keptFor: 'a' })
    const [a, b, c] = [
      await connection({ via, keptFor: 'a' }),
      await connection({ via, keptFor: 'b' }),
      await connection({ via, keptFor: 'c' }),
    ]
    await until(() => isGone(a))
    expect([await connection({ via, keptFor: 'b' }), await connection({ via, keptFor: 'c' })]).toEqual([b, c])
    const newest = await connection({ via: elsewhere, keptFor: 'b' })
    await until(() => isGone(foreign))
    expect([newest, b, c].map(isGone)).toEqual([false, false, false])
  })

  test('a relay that is drained says goodbye to all that wait, and keeps none after', async () => {
    const { other, via } = await another({ RELAY_DRAIN_SECONDS: '20' })
    const waiting = await connection({ via, keptFor: 'a' })
    const running = await via.open(execRequest(sshd, 'echo $PPID; read line', { keptFor: 'b' }), keyOf(sshd))
    const busy = Number(await running.untilOutput('\n'))
    const drained = other.relay.drain()
    await until(() => isGone(waiting))
    expect(isGone(busy)).toBe(false)
    running.send('go\n')
    await running.exit()
    await until(() => isGone(busy))
    await drained
  })

  test('a certificate keeps one for those of the same authority, no longer than it lives', async () => {
    const [ours, theirs] = [await generateSshKey(), await generateSshKey()]
    const trusted = join(sshd.directory, 'trusted')
    writeFileSync(trusted, [ours, theirs].map(({ publicKey }) => `ssh-ed25519 ${Buffer.from(publicKey).toString('base64')}\n`).join(''))
    const host = await startSshd({ lines: [`TrustedUserCAKeys ${trusted}`] })
    onTestFinished(() => host.stop())
    const { via } = await another({}, host)
    const certified = async (ca: typeof ours, leftSeconds = 240): Promise<Asking> => {
      const now = Math.floor(Date.now() / 1000)
      const grant = { keyId: `parvis ${now}`, principal: host.user, permits: 'permit-pty' as const, sourceAddresses: [] }
      const { certificate, privateKey } = await certify({ ...grant, validAfter: now - 60, validBefore: now + leftSeconds }, ca)
      const [blob, key] = [certificate, privateKey].map((bytes) => Buffer.from(bytes).toString('base64'))
      return { via, target: host, credential: { kind: 'certificate', certificate: blob ?? '', privateKey: key ?? '' } }
    }
    const first = await connection(await certified(ours))
    expect(await connection(await certified(ours))).toBe(first)
    expect(await connection(await certified(theirs))).not.toBe(first)
    const brief = await connection({ ...(await certified(ours, 3)), keptFor: 'brief' })
    await until(() => isGone(brief))
  })
})
