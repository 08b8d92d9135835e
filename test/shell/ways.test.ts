import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Sshd, startSshd } from '../relay/sshd.ts'
import { describeWith } from '../requires.ts'
import { hostBody, problemOf, type Rig, startRig } from './rig.ts'

describeWith('sshd', 'the ways to a host', () => {
  let rig: Rig
  let inner: Sshd
  let certified: Sshd
  const directory = mkdtempSync(join(tmpdir(), 'parvis-ca-'))
  const trusted = join(directory, 'authorities')
  beforeAll(async () => {
    inner = await startSshd({ hostKeys: ['ed25519', 'rsa'] })
    certified = await startSshd({ lines: [`TrustedUserCAKeys ${trusted}`] })
    rig = await startRig({
      sshd: { hostKeys: ['ed25519', 'ecdsa', 'rsa'] },
      relayEnv: { RELAY_ALLOW_TARGETS: `127.0.0.1:${inner.port},127.0.0.1:${certified.port}` },
    })
  })
  afterAll(async () => {
    await rig.stop()
    await inner.stop()
    await certified.stop()
    rmSync(directory, { recursive: true, force: true })
  })
  const params = () => ({ orgId: rig.org.id })
  const exec = (hostId: string, command: string, more: object = {}) =>
    rig.owner.client.execCommand({ params: { hostId: hostId as typeof rig.host.id }, body: { command, ...more } })
  const create = (more: object) => rig.owner.client.createHost({ params: params(), body: { ...hostBody(rig.sshd), ...more } })

  test('a scan tells the keys of every type', async () => {
    const { keys } = await rig.owner.client.scanHost({ params: params(), body: { address: '127.0.0.1', port: rig.sshd.port } })
    expect(keys.map(({ type }) => type).sort()).toEqual(['ecdsa-sha2-nistp256', 'ssh-ed25519', 'ssh-rsa'])
    expect(keys.map(({ key }) => key).sort()).toEqual(rig.sshd.hostKeys.map(({ key }) => key).sort())
  })

  test('a command gets its input and its environment', async () => {
    const stdin = `${'line\n'.repeat(10_000)}`
    expect(await exec(rig.host.id, 'wc -c; echo $PARVIS_JOB', { stdin, env: { PARVIS_JOB: 'nightly' } })).toMatchObject({
      stdout: `${stdin.length}\nnightly\n`,
      exitCode: 0,
    })
    expect(await problemOf(exec(rig.host.id, 'true', { env: { LD_PRELOAD: 'x' } }))).toMatchObject({ slug: 'invalid-request' })
  })

  test('tags are words by which hosts are found', async () => {
    const host = await create({ tags: ['web', 'env:test', 'web'] })
    expect(host.tags).toEqual(['env:test', 'web'])
    const found = await rig.owner.client.listHosts({ params: params(), query: { tag: 'env:test' } })
    expect(found.items.map(({ id }) => id)).toEqual([host.id])
    expect((await rig.owner.client.listHosts({ params: params(), query: { tag: 'env' } })).items).toEqual([])
  })

  test('a host behind another is scanned, opened and left through it, each with pins of its own', async () => {
    const body = { address: '127.0.0.1', port: inner.port, jumpHostId: rig.host.id }
    const { keys } = await rig.owner.client.scanHost({ params: params(), body })
    expect(keys.map(({ key }) => key).sort()).toEqual(inner.hostKeys.map(({ key }) => key).sort())
    const behind = await rig.owner.client.createHost({ params: params(), body: { ...hostBody(inner), jumpHostId: rig.host.id } })
    expect(await exec(behind.id, 'echo $SSH_CONNECTION')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(` ${inner.port}`) })
    expect(await problemOf(rig.owner.client.deleteHost({ params: { hostId: rig.host.id } }))).toMatchObject({ slug: 'conflict' })
    const confused = await create({ keys: inner.hostKeys.map(({ type, key }) => ({ type, key })) })
    const over = await rig.owner.client.createHost({ params: params(), body: { ...hostBody(inner), jumpHostId: confused.id } })
    expect(await problemOf(exec(over.id, 'true'))).toMatchObject({
      slug: 'host-key-mismatch',
      detail: expect.stringContaining('At jump host 1'),
    })
    // What was accepted for the jump host says nothing about the host behind it, though both have one address.
    const mixed = { ...hostBody(inner), keys: hostBody(rig.sshd).keys, jumpHostId: rig.host.id }
    const under = await rig.owner.client.createHost({ params: params(), body: mixed })
    const refused = await problemOf(exec(under.id, 'true'))
    expect(refused.slug).toBe('host-key-mismatch')
    expect(refused.detail).not.toContain('jump host')
  })

  test('a way leads neither over itself, nor over too many, nor over the host of others', async () => {
    let jumpHostId = rig.host.id
    for (let i = 0; i < 3; i += 1) jumpHostId = (await create({ jumpHostId })).id
    expect(await problemOf(create({ jumpHostId }))).toMatchObject({ slug: 'invalid-request' })
    const loop = rig.owner.client.updateHost({
      params: { hostId: rig.host.id },
      body: { jumpHostId, keys: hostBody(rig.sshd).keys, credential: { kind: 'password', password: 'x' } },
    })
    expect(await problemOf(loop)).toMatchObject({ slug: 'invalid-request' })
    const other = await rig.edge.signUp('other')
    const org = await other.client.createOrg({ body: { name: 'Other' } })
    const theirs = other.client.createHost({ params: { orgId: org.id }, body: { ...hostBody(rig.sshd), jumpHostId: rig.host.id } })
    expect(await problemOf(theirs)).toMatchObject({ slug: 'invalid-request' })
  })

  test('loopback and metadata of a jump host are out of reach, and so are ports that are not allowed', async () => {
    for (const target of [
      { address: '127.0.0.2' },
      { address: '169.254.169.254' },
      { address: '10.0.0.1', port: 6379 },
      { address: 'localhost' },
    ]) {
      const host = await create({ port: 22, ...target, jumpHostId: rig.host.id })
      expect([target, (await problemOf(exec(host.id, 'true'))).slug]).toEqual([target, 'target-forbidden'])
    }
  })

  test('a host that moves brings its keys and its credential; new keys of a host are an owner’s to accept', async () => {
    const host = await create({ keys: inner.hostKeys.map(({ type, key }) => ({ type, key })) })
    const operator = await rig.member('operator')
    expect(await problemOf(exec(host.id, 'true'))).toMatchObject({ slug: 'host-key-mismatch' })
    const accept = (client: typeof rig.owner.client) =>
      client.updateHost({ params: { hostId: host.id }, body: { keys: hostBody(rig.sshd).keys } })
    expect(await problemOf(accept(operator.client))).toMatchObject({ slug: 'forbidden' })
    expect((await accept(rig.owner.client)).keys).toHaveLength(3)
    expect(await exec(host.id, 'true')).toMatchObject({ exitCode: 0 })
    const move = rig.owner.client.updateHost({ params: { hostId: host.id }, body: { address: '192.0.2.7' } })
    expect(await problemOf(move)).toMatchObject({ slug: 'invalid-request' })
    const { results } = await rig.edge.db.prepare("SELECT cause FROM audit_entries WHERE action = 'host.accept-keys'").all()
    expect(results).toEqual([{ cause: expect.stringContaining(rig.sshd.hostKeys[0]!.fingerprint) }])
  })

  test('a certificate of the organisation’s authority opens a host that trusts it, for five minutes and one account', async () => {
    const body = { ...hostBody(certified), credential: { kind: 'certificate' as const } }
    const host = await rig.owner.client.createHost({ params: params(), body })
    expect(await problemOf(exec(host.id, 'true'))).toMatchObject({ slug: 'host-refused', detail: expect.stringContaining('authority') })
    const key = await rig.owner.client.createSshCaKey({ params: params() })
    expect(key).toMatchObject({ isSigning: true, publicKey: expect.stringMatching(/^ssh-ed25519 /) })
    const operator = await rig.member('operator')
    expect((await operator.client.getSshCa({ params: params() })).keys).toEqual([key])
    expect(await problemOf(operator.client.createSshCaKey({ params: params() }))).toMatchObject({ slug: 'forbidden' })
    writeFileSync(trusted, `${key.publicKey}\n`)
    expect(await exec(host.id, 'id -un')).toMatchObject({ exitCode: 0, stdout: `${certified.user}\n` })
    const other = await rig.owner.client.createHost({ params: params(), body: { ...body, user: 'daemon' } })
    expect(
      await exec(other.id, 'id -un').then(
        ({ stdout }) => stdout,
        ({ slug }) => slug,
      ),
    ).not.toBe(`${certified.user}\n`)
    const odd = rig.owner.client.createHost({ params: params(), body: { ...body, user: 'a.b' } })
    expect(await problemOf(odd)).toMatchObject({ slug: 'invalid-request' })
    const next = await rig.owner.client.createSshCaKey({ params: params() })
    expect(next.isSigning).toBe(false)
    expect(await problemOf(rig.owner.client.createSshCaKey({ params: params() }))).toMatchObject({ slug: 'limit-reached' })
    await rig.owner.client.deleteSshCaKey({ params: { ...params(), keyId: key.id } })
    expect(await problemOf(exec(host.id, 'true'))).toMatchObject({ slug: 'host-refused' })
    appendFileSync(trusted, `${next.publicKey}\n`)
    expect(await exec(host.id, 'true')).toMatchObject({ exitCode: 0 })
  })
})
