import { expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../requires.ts'
import { execRequest, keyOf, shellRequest, startTestRelay } from './harness.ts'
import { type KeyKind, startSshd } from './sshd.ts'

describeWith('sshd', 'OpenSSH as people set it up', () => {
  async function reach(lines: readonly string[], hostKeys: readonly KeyKind[] = ['ed25519'], overrides: Record<string, string> = {}) {
    const sshd = await startSshd({ lines, hostKeys })
    onTestFinished(() => sshd.stop())
    const relay = await startTestRelay([sshd.port], overrides)
    onTestFinished(() => relay.relay.close())
    const link = await relay.link()
    return { sshd, link, relay, exec: (command: string) => link.open(execRequest(sshd, command), keyOf(sshd)) }
  }

  test.each<[name: string, lines: string[], hostKeys: KeyKind[]]>([
    ['chacha20-poly1305 alone', ['Ciphers chacha20-poly1305@openssh.com'], ['ed25519']],
    ['an RSA host key alone', [], ['rsa']],
    ['an ECDSA host key alone', [], ['ecdsa']],
    ['counter mode with a MAC over the ciphertext', ['Ciphers aes256-ctr', 'MACs hmac-sha2-512-etm@openssh.com'], ['ed25519']],
    ['keys renewed by size and by time', ['RekeyLimit 1M 1s'], ['ed25519']],
  ])('%s carries a megabyte and its end', async (_, lines, hostKeys) => {
    const { exec } = await reach(lines, hostKeys)
    const stream = await exec('head -c 3000000 /dev/zero | tr "\\0" x; exit 5')
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ code: 5 })
    expect(stream.outOffset()).toBe(3_000_000)
  })

  test('a group that the host chooses is taken by no profile: proving it prime would stop the relay for seconds', async () => {
    const { sshd, link, exec } = await reach(['KexAlgorithms diffie-hellman-group-exchange-sha256'])
    const legacy = await link.open(execRequest(sshd, 'true', { algorithms: 'legacy' }), keyOf(sshd))
    expect(await legacy.failed()).toBe('no-common-algorithm')
    expect(await (await exec('true')).failed()).toBe('no-common-algorithm')
    const old = await reach(['KexAlgorithms diffie-hellman-group14-sha256'])
    const stream = await old.link.open(execRequest(old.sshd, 'exit 3', { algorithms: 'legacy' }), keyOf(old.sshd))
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ code: 3 })
  })

  test('a banner and a message of the day are no output of a command', async () => {
    const { exec, sshd, link } = await reach(['Banner /etc/passwd', 'PrintMotd yes'])
    const stream = await exec('echo fine')
    await stream.opened()
    await stream.exit()
    expect([stream.stdout(), stream.stderr()]).toEqual(['fine\n', ''])
    const shell = await link.open(shellRequest(sshd), keyOf(sshd))
    await shell.opened()
    shell.send("echo do''ne\n")
    await shell.untilOutput('done')
    expect(shell.stdout()).not.toContain('root:x:0:0')
  })

  test('a forced command runs instead of ours, and its end after a timeout is not confirmed', async () => {
    const { exec } = await reach(['ForceCommand echo "forced: $SSH_ORIGINAL_COMMAND"'])
    const stream = await exec('id; $(x)')
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ code: 0 })
    expect(stream.stdout()).toBe('forced: id; $(x)\n')
    const slow = await reach(['ForceCommand sleep 30'])
    const sleeping = await slow.link.open(execRequest(slow.sshd, 'true', { timeoutSeconds: 1 }), keyOf(slow.sshd))
    await sleeping.opened()
    expect(await sleeping.exit()).toMatchObject({ cause: 'timeout', killed: 'unconfirmed' })
  })

  test('few sessions and few starters still serve all who come: every command has a connection, and they wait their turn', async () => {
    const { sshd, link } = await reach(['MaxSessions 1', 'MaxStartups 8'], ['ed25519'])
    const streams = await Promise.all(Array.from({ length: 16 }, (_, n) => link.open(execRequest(sshd, `echo ${n}`), keyOf(sshd))))
    const said = await Promise.all(
      streams.map(async (stream) => {
        await stream.opened()
        await stream.exit()
        return stream.stdout()
      }),
    )
    expect(said).toEqual(Array.from({ length: 16 }, (_, n) => `${n}\n`))
  })

  test('what lets nobody in says so, and not why in its own words', async () => {
    const { exec } = await reach(['DenyUsers *', 'Banner /etc/hostname'])
    expect(await (await exec('true')).failed()).toBe('login-refused')
    const closed = await reach(['MaxSessions 0'])
    expect(await (await closed.exec('true')).failed()).toBe('request-refused')
  })
})
