import { once } from 'node:events'
import { appendFileSync, readFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { HostKeyPin } from '../../src/contract/krp.ts'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { sealAad, sealCredential } from '../../src/contract/seal.ts'
import { startDemoHost } from '../../src/dev/demo-host.ts'
import { readPreface } from '../../src/relay/guard.ts'
import { generateSealingKey } from '../../src/relay/keys.ts'
import { openLogin } from '../../src/relay/login.ts'
import { describeWith } from '../requires.ts'
import { execRequest, keyOf, startTestRelay, type Target, type TestRelay } from './harness.ts'
import type { TestLink } from './krp-client.ts'
import { makeKey, type Sshd, startSshd } from './sshd.ts'

const password: RelayCredential = { kind: 'password', password: 'canary-password' }
const strangePin: HostKeyPin = { type: 'ssh-ed25519', fingerprint: `SHA256:${'A'.repeat(43)}` }

/** A TCP server that does to its peers what the test wants. */
async function startTarget(serve: (socket: Socket) => void): Promise<{ server: Server; port: number; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return { server, sockets, port: typeof address === 'object' && address !== null ? address.port : 0 }
}

describe('targets that mean harm', () => {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
  })
  const against = async (serve: (socket: Socket) => void, overrides: Record<string, string> = {}) => {
    const { server, port, sockets } = await startTarget(serve)
    const relay = await startTestRelay([port], overrides)
    closers.push(
      () => server.close(),
      () => relay.relay.close(),
      () => sockets.map((socket) => socket.destroy()),
    )
    const link = await relay.link()
    const target: Target = { host: '127.0.0.1', port, user: 'u', privateKey: '', hostKeys: [strangePin] }
    return { relay, link, target, sockets }
  }
  const failure = async (link: TestLink, target: Target) => (await link.open(execRequest(target, 'true'), password)).failed()

  test('a flood before the identification line is cut at once', async () => {
    let sent = 0
    const { link, target } = await against((socket) => {
      const line = Buffer.alloc(64 * 1024, 'welcome to the tar pit\n')
      const flood = (): void => {
        while (!socket.destroyed && socket.write(line)) sent += line.length
      }
      socket.on('drain', flood)
      flood()
    })
    const startedAt = performance.now()
    expect(await failure(link, target)).toBe('target-not-ssh')
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(sent).toBeLessThan(20_000_000)
  })

  test('short lines without end, and one line without end, are cut too', () => {
    expect(readPreface(Buffer.from('a\n'.repeat(51)))).toBe('cut')
    expect(readPreface(Buffer.from('a\n'.repeat(50)))).toBe('more')
    expect(readPreface(Buffer.alloc(8_192, 'a'))).toBe('more')
    expect(readPreface(Buffer.alloc(8_193, 'a'))).toBe('cut')
    expect(readPreface(Buffer.from(`SSH-2.0-${'x'.repeat(300)}`))).toBe('cut')
    expect(readPreface(Buffer.from('SSH-1.5-old\r\n'))).toBe('cut')
    expect(readPreface(Buffer.from('hello\r\nSSH-2.0-x\r\nrest'))).toEqual(Buffer.from('SSH-2.0-x\r\nrest'))
    expect(readPreface(Buffer.from('SSH-2.0-x'))).toBe('more')
  })

  test.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\nServer: canary-banner\r\n\r\n'],
    ['a Redis', "-ERR canary-banner unknown command 'SSH-2.0-Parvis'\r\n"],
    ['mail', '220 canary-banner ESMTP\r\n'],
  ])('%s server is no SSH server, and not a byte of what it says gets out', async (_, banner) => {
    const { relay, link, target } = await against((socket) => socket.end(banner))
    expect(await failure(link, target)).toBe('target-not-ssh')
    const everything = JSON.stringify(link.wire.seen.map(({ name, body }) => [name, body])) + relay.lines.join('')
    expect(everything).not.toContain('canary-banner')
  })

  test('what answers in place of an SSH server is told by nothing in how long that takes', async () => {
    const banners = ['HTTP/1.1 400 Bad Request\r\n\r\n', '-ERR unknown command\r\n', `${'220 mail\r\n'.repeat(40)}`, '\0\0\0\0', '']
    const medians: number[] = []
    for (const banner of banners) {
      const { link, target } = await against((socket) => socket.end(banner))
      const took: number[] = []
      for (let n = 0; n < 9; n++) {
        const startedAt = performance.now()
        expect(await failure(link, target)).toBe('target-not-ssh')
        took.push(performance.now() - startedAt)
      }
      medians.push(took.sort((a, b) => a - b)[4] ?? 0)
    }
    expect(Math.max(...medians)).toBeLessThan(Math.min(...medians) * 3 + 50)
  })

  test.each([
    ['0xFFFFFFF0', 0xfffffff0],
    ['256 KiB', 256 * 1024],
    ['0', 0],
  ])('a packet length of %s ends the connection without waiting for it', async (_, length) => {
    const { link, target } = await against((socket) => {
      const packet = Buffer.alloc(64)
      packet.writeUInt32BE(length)
      socket.write(Buffer.concat([Buffer.from('SSH-2.0-hostile\r\n'), packet]))
    })
    const startedAt = performance.now()
    expect(await failure(link, target)).toBe('target-not-ssh')
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })

  test('a target that accepts and says nothing is given up at the deadline', async () => {
    const { link, target } = await against(() => undefined, { RELAY_CONNECT_SECONDS: '1' })
    expect(await failure(link, target)).toBe('target-timeout')
  })

  test('a target that resets, and a port where nobody listens, are unreachable', async () => {
    const { link, target, sockets } = await against((socket) => socket.resetAndDestroy())
    expect(await failure(link, target)).toMatch(/^target-(unreachable|not-ssh)$/)
    expect(sockets.length).toBe(1)
  })

  test('a target with another key gets no secret, and the person learns which key it showed', async () => {
    const tried: string[] = []
    const hostKey = ssh2.utils.generateKeyPairSync('ed25519').private
    const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
      client.on('error', () => undefined)
      client.on('authentication', (attempt) => {
        tried.push(attempt.method)
        attempt.reject()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const relay = await startTestRelay([port])
    closers.push(
      () => server.close(),
      () => relay.relay.close(),
    )
    const link = await relay.link()
    const target: Target = { host: '127.0.0.1', port, user: 'u', privateKey: '', hostKeys: [strangePin] }
    const stream = await link.open(execRequest(target, 'true'), password)
    expect(await stream.failed()).toBe('host-key-mismatch')
    expect(await link.wire.untilFrame('HOSTKEY', stream.id)).toMatchObject({
      type: 'ssh-ed25519',
      fingerprint: expect.stringMatching(/^SHA256:/),
    })
    const unpinned = await link.open(execRequest({ ...target, hostKeys: [] }, 'true'), password)
    expect(await unpinned.failed()).toBe('host-key-unknown')
    expect(tried).toEqual([])
  })

  test('failing logins make the relay wait before it tries that target again, for that organisation alone', async () => {
    const demo = await startDemoHost({
      port: 0,
      password: 'right',
      hostKey: ssh2.utils.generateKeyPairSync('ed25519').private,
    })
    const relay = await startTestRelay([demo.port])
    closers.push(
      () => demo.close(),
      () => relay.relay.close(),
    )
    const target: Target = {
      host: '127.0.0.1',
      port: demo.port,
      user: 'demo',
      privateKey: '',
      hostKeys: [{ type: 'ssh-ed25519', fingerprint: demo.hostKeyFingerprint }],
    }
    const link = await relay.link()
    for (let i = 0; i < 3; i += 1) expect(await failure(link, target)).toBe('login-refused')
    expect(await failure(link, target)).toBe('target-backoff')
    const other = await relay.link({ tenant: 'org_2' })
    expect(await failure(other, target)).toBe('login-refused')
  })
})

describeWith('sshd', 'host keys and algorithms against a real sshd', () => {
  let sshd: Sshd
  let relay: TestRelay
  let link: TestLink
  beforeAll(async () => {
    sshd = await startSshd({ hostKeys: ['ecdsa', 'rsa'] })
    relay = await startTestRelay([sshd.port])
    link = await relay.link()
  })
  afterAll(async () => {
    await relay.relay.close()
    await sshd.stop()
  })
  const withPins = (hostKeys: readonly HostKeyPin[]): Target => ({ ...sshd, hostKeys })
  const fingerprintOf = (type: string): HostKeyPin => sshd.hostKeys.find((key) => key.type === type) ?? strangePin

  test('a pin of one type finds its key among several', async () => {
    for (const type of ['ecdsa-sha2-nistp256', 'ssh-rsa']) {
      const stream = await link.open(execRequest(withPins([fingerprintOf(type)]), 'true'), keyOf(sshd))
      expect((await stream.opened()).hostKey?.type).toBe(type)
      await stream.exit()
    }
  })

  test('a target that offers only other key types than the pinned one is a mismatch, not unknown', async () => {
    const stream = await link.open(execRequest(withPins([strangePin]), 'true'), keyOf(sshd))
    expect(await stream.failed()).toBe('host-key-mismatch')
  })

  test('a fingerprint under another type is a mismatch', async () => {
    const stream = await link.open(
      execRequest(withPins([{ ...fingerprintOf('ssh-rsa'), type: 'ecdsa-sha2-nistp256' }]), 'true'),
      keyOf(sshd),
    )
    expect(await stream.failed()).toBe('host-key-mismatch')
  })

  test('keys of every kind log in, with and without a passphrase', async () => {
    for (const [kind, passphrase] of [
      ['rsa', ''],
      ['ecdsa', ''],
      ['ed25519', 'open sesame'],
      ['rsa', 'open sesame'],
    ] as const) {
      const key = makeKey(join(sshd.directory, `user_${kind}_${passphrase.length}`), kind, passphrase)
      appendFileSync(join(sshd.directory, 'authorized_keys'), `${key.line}\n`)
      const credential: RelayCredential = {
        kind: 'private-key',
        privateKey: readFileSync(key.path, 'utf8'),
        ...(passphrase === '' ? {} : { passphrase }),
      }
      const stream = await link.open(execRequest(sshd, 'echo in'), credential)
      await stream.opened()
      await stream.exit()
      expect([kind, stream.stdout()]).toEqual([kind, 'in\n'])
      if (passphrase === '') continue
      const wrong = await link.open(execRequest(sshd, 'true'), { ...credential, passphrase: 'open barley' })
      expect(await wrong.failed()).toBe('credential-invalid')
    }
  })

  test('a key made to burn the relay is refused unread', async () => {
    const key = makeKey(join(sshd.directory, 'user_slow'), 'ed25519', 'open sesame')
    const text = readFileSync(key.path, 'utf8')
    const bytes = Buffer.from(text.split('\n').slice(1, -2).join(''), 'base64')
    const rounds = bytes.indexOf(Buffer.from([0, 0, 0, 16, 0, 0, 0, 1])) // bcrypt's default rounds, then the number of keys
    bytes.writeUInt32BE(0x7fffffff, rounds)
    const slow = text.replace(/(KEY-----\n)[\s\S]+(\n-----END)/, `$1!${bytes.toString('base64')}$2`)
    const startedAt = performance.now()
    const stream = await link.open(execRequest(sshd, 'true'), { kind: 'private-key', privateKey: slow, passphrase: 'open sesame' })
    expect(await stream.failed()).toBe('credential-invalid')
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  test.each([
    ['ChaCha20 under strict key exchange works', 'Ciphers chacha20-poly1305@openssh.com', undefined],
    ['counter mode works', 'Ciphers aes128-ctr', undefined],
    ['CBC is refused', 'Ciphers aes128-cbc', 'no-common-algorithm'],
    ['SHA-1 MACs are refused', 'Ciphers aes128-ctr\nMACs hmac-sha1', 'no-common-algorithm'],
    ['SHA-1 key exchange is refused', 'KexAlgorithms diffie-hellman-group14-sha1', 'no-common-algorithm'],
  ])('%s', async (_, lines, code) => {
    const other = await startSshd({ lines: lines.split('\n') })
    onTestFinished(() => other.stop())
    const near = await startTestRelay([other.port])
    onTestFinished(() => near.relay.close())
    const to = await near.link()
    const stream = await to.open(execRequest(other, 'echo fine'), keyOf(other))
    if (code !== undefined) expect(await stream.failed()).toBe(code)
    else {
      await stream.opened()
      await stream.exit()
      expect(stream.stdout()).toBe('fine\n')
    }
  })

  test('rekeying in mid-stream changes nothing', async () => {
    const other = await startSshd({ lines: ['RekeyLimit 1M'] })
    onTestFinished(() => other.stop())
    const near = await startTestRelay([other.port])
    onTestFinished(() => near.relay.close())
    const to = await near.link()
    const stream = await to.open(execRequest(other, 'head -c 8000000 /dev/zero | tr "\\0" x'), keyOf(other))
    await stream.opened()
    await stream.exit()
    expect(stream.outOffset()).toBe(8_000_000)
  })

  test('a target that dies takes its shell along, and the dialer is told that it is gone', async () => {
    const other = await startSshd()
    onTestFinished(() => other.stop())
    const near = await startTestRelay([other.port])
    onTestFinished(() => near.relay.close())
    const to = await near.link()
    const stream = await to.open(execRequest(other, 'echo $PPID; sleep 30'), keyOf(other))
    await stream.opened()
    process.kill(Number(await stream.untilOutput('\n')), 'SIGKILL')
    expect(await stream.exit()).toMatchObject({ code: null, signal: null })
    expect(await to.wire.untilFrame('CLOSE', stream.id)).toEqual({ reason: 'gone' })
  })
})

test('RSA keys sign with SHA-1 on a legacy host alone, even for a server that names no algorithms', async () => {
  const sealing = generateSealingKey()
  const rsa = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })
  const target: Target = { host: 'a.example', port: 22, user: 'u', privateKey: '', hostKeys: [strangePin] }
  const binding = { shell: 'shl', host: target.host, port: target.port, pins: target.hostKeys, jti: 'j'.repeat(16), via: [] }
  const aad = await sealAad({ ...binding, relayKeyId: sealing.publicJwk.kid })
  const plaintext = new TextEncoder().encode(JSON.stringify({ kind: 'private-key', privateKey: rsa.private }))
  const sealed = await sealCredential(sealing.publicJwk, aad, plaintext)
  const turn = { username: 'u', left: [], isPartial: false, ask: undefined }
  const signedWith = async (algorithms: 'modern' | 'legacy') => {
    const login = await openLogin(binding, sealed, { key: sealing.privateJwk, algorithms })
    const attempt = login.next(turn)
    if (attempt === false || attempt.type !== 'agent' || typeof attempt.agent === 'string') throw new Error('no agent')
    const { agent } = attempt
    const sign = (hash: 'sha1' | 'sha256' | 'sha512') =>
      new Promise((resolve) =>
        agent.sign(rsa.public, Buffer.from('x'), { hash }, (error, signature) => resolve(error?.message ?? signature?.length)),
      )
    expect(login.next(turn)).toBe(false)
    return [await sign('sha1'), await sign('sha256'), await sign('sha512')]
  }
  expect(await signedWith('modern')).toEqual(['SHA-1 signatures are refused', 256, 256])
  expect(await signedWith('legacy')).toEqual([256, 256, 256])
})

describeWith('sshd', 'a target that dies with its output unread', () => {
  test('gives up what it had sent, takes sizes and signals for nothing, and ends as gone', async () => {
    const sshd = await startSshd()
    onTestFinished(() => sshd.stop())
    const relay = await startTestRelay([sshd.port])
    onTestFinished(() => relay.relay.close())
    const link = await relay.link()
    const stream = await link.open(execRequest(sshd, 'echo $PPID; head -c 3000000 /dev/zero; sleep 60'), keyOf(sshd), {
      creditBytes: 1000,
      isSilent: true,
    })
    await stream.opened()
    const parent = Number((await stream.untilOutput('\n')).split('\n')[0])
    await link.wire.until(() => stream.outOffset() === 1000)
    link.wire.control('PING', 0, { id: 1 })
    await link.wire.untilFrame('PONG', 0)
    process.kill(parent, 'SIGKILL')
    link.wire.control('RESIZE', stream.id, { cols: 90, rows: 30 })
    link.wire.control('SIGNAL', stream.id, { signal: 'INT' })
    stream.send('too late')
    stream.endInput()
    while (!link.wire.seen.some(({ name }) => name === 'EXIT')) {
      const from = stream.outOffset()
      stream.acknowledge()
      stream.credit(200_000)
      await link.wire.until(() => stream.outOffset() > from || link.wire.seen.some(({ name }) => name === 'EXIT'))
    }
    expect(await stream.exit()).toMatchObject({ code: null, signal: null })
    expect(await link.wire.untilFrame('CLOSE', stream.id)).toEqual({ reason: 'gone' })
    expect(stream.outOffset()).toBeGreaterThan(1_000)
    expect(relay.events('bug')).toEqual([])
  })
})

test('a socket that is refused leaves no error behind', async () => {
  const relay = await startTestRelay([22])
  const socket = connect(relay.relay.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.resetAndDestroy()
  const link = await relay.link()
  link.wire.cut()
  await relay.relay.close()
  expect(relay.events('bug')).toEqual([])
})
