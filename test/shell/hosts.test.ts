import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestUser } from '../harness.ts'
import { freePort, makeKey, startSshd } from '../relay/sshd.ts'
import { describeWith } from '../requires.ts'
import { hostBody, problemOf, type Rig, startRig, until } from './rig.ts'

/** Would be found wherever it leaks. */
const CANARY = 'canary-9f8e7d6c5b4a-password'

describeWith('sshd', 'a host of an organisation', () => {
  let rig: Rig
  let narrowPort = 0
  let httpPort = 0
  let operator: TestUser
  let reader: TestUser
  let stranger: TestUser
  beforeAll(async () => {
    const sshdPort = await freePort()
    narrowPort = await freePort()
    httpPort = await freePort()
    rig = await startRig({
      sshd: { hostKeys: ['ed25519', 'ecdsa', 'rsa'], port: sshdPort },
      relayEnv: { RELAY_LOGIN_FAILURES_PER_MINUTE_MAX: '50', RELAY_ALLOW_PORTS: `${sshdPort},${narrowPort},${httpPort}` },
    })
    operator = await rig.member('operator')
    reader = await rig.member('reader')
    stranger = await rig.edge.signUp('stranger')
  })
  afterAll(() => rig.stop())
  const params = () => ({ orgId: rig.org.id })
  const audit = async (action: string) =>
    (await rig.edge.db.prepare('SELECT * FROM audit_entries WHERE action = ? ORDER BY id').bind(action).all()).results

  test('is scanned, registered with the key a person accepted, listed and read, without its credential', async () => {
    const { keys } = await rig.owner.client.scanHost({ params: params(), body: { address: '127.0.0.1', port: rig.sshd.port } })
    const [known] = rig.sshd.hostKeys
    const byType = (a: { type: string }, b: { type: string }) => a.type.localeCompare(b.type)
    expect(keys.toSorted(byType)).toEqual(rig.sshd.hostKeys.toSorted(byType))
    const body = { ...hostBody(rig.sshd), name: ' web-2 ', keys: keys.map(({ type, key }) => ({ type, key })) }
    const host = await rig.owner.client.createHost({ params: params(), body })
    expect(host).toMatchObject({ name: 'web-2', keys, credentialKind: 'private-key' })
    for (const user of [rig.owner, operator, reader]) {
      expect(await user.client.getHost({ params: { hostId: host.id } })).toEqual(host)
      expect((await user.client.listHosts({ params: params() })).items[0]).toEqual(host)
    }
    expect(JSON.stringify(host)).not.toContain('PRIVATE')
    expect(await audit('host.create')).toContainEqual(
      expect.objectContaining({
        actor_id: rig.owner.id,
        org_id: rig.org.id,
        subject: host.id,
        cause: expect.stringContaining(known!.fingerprint),
      }),
    )
  })

  test('is not there for strangers, and only owners register, scan and delete', async () => {
    const hostId = rig.host.id
    const acts = (user: TestUser): [string, Promise<unknown>][] => [
      ['scan', user.client.scanHost({ params: params(), body: { address: '127.0.0.1', port: rig.sshd.port } })],
      ['create', user.client.createHost({ params: params(), body: hostBody(rig.sshd) })],
      ['delete', user.client.deleteHost({ params: { hostId } })],
      ['exec', user.client.execCommand({ params: { hostId }, body: { command: 'true' } })],
      ['open', user.client.openShell({ body: { hostId } })],
      ['list', user.client.listHosts({ params: params() })],
      ['get', user.client.getHost({ params: { hostId } })],
    ]
    const refusals = async (user: TestUser) =>
      Object.fromEntries(
        await Promise.all(
          acts(user).map(
            async ([name, call]) =>
              [
                name,
                await call.then(
                  () => 'ok',
                  (error: { slug: string }) => error.slug,
                ),
              ] as const,
          ),
        ),
      )
    const nothing = 'not-found'
    expect(await refusals(stranger)).toEqual({
      scan: nothing,
      create: nothing,
      delete: nothing,
      exec: nothing,
      open: nothing,
      list: nothing,
      get: nothing,
    })
    const no = 'forbidden'
    expect(await refusals(reader)).toEqual({ scan: no, create: no, delete: no, exec: no, open: no, list: 'ok', get: 'ok' })
    expect(await refusals(operator)).toEqual({ scan: no, create: no, delete: no, exec: 'ok', open: 'ok', list: 'ok', get: 'ok' })
  })

  test('pages its list and takes no forged cursor', async () => {
    const org = await rig.owner.client.createOrg({ body: { name: 'Paged' } })
    const made: string[] = []
    for (let i = 0; i < 3; i++)
      made.unshift((await rig.owner.client.createHost({ params: { orgId: org.id }, body: hostBody(rig.sshd) })).id)
    const one = await rig.owner.client.listHosts({ params: { orgId: org.id }, query: { limit: 2 } })
    const two = await rig.owner.client.listHosts({ params: { orgId: org.id }, query: { limit: 2, cursor: one.nextCursor } })
    expect([...one.items, ...two.items].map((host) => host.id)).toEqual(made)
    expect(two.nextCursor).toBeUndefined()
    const forged = rig.owner.client.listHosts({ params: { orgId: org.id }, query: { cursor: 'AAAA' } })
    expect(await problemOf(forged)).toMatchObject({ slug: 'invalid-request' })
  })

  test('that presents another key is refused before any secret is sent, as is one that only has another type of key', async () => {
    const directory = rig.sshd.directory
    const other = makeKey(`${directory}/other`, 'ed25519')
    const mismatched = { ...hostBody(rig.sshd), keys: [{ type: other.type, key: other.key }] }
    const host = await rig.owner.client.createHost({ params: params(), body: mismatched })
    const exec = rig.owner.client.execCommand({ params: { hostId: host.id }, body: { command: 'true' } })
    expect(await problemOf(exec)).toMatchObject({ slug: 'host-key-mismatch' })
    expect(await problemOf(rig.owner.client.openShell({ body: { hostId: host.id } }))).toMatchObject({ slug: 'host-key-mismatch' })
    const narrow = await startSshd({ hostKeys: ['ecdsa'], port: narrowPort })
    const [pinned] = rig.sshd.hostKeys
    const switched = { ...hostBody(rig.sshd), port: narrowPort, keys: [{ type: pinned!.type, key: pinned!.key }] }
    const second = await rig.owner.client.createHost({ params: params(), body: switched })
    const exec2 = rig.owner.client.execCommand({ params: { hostId: second.id }, body: { command: 'true' } })
    expect(await problemOf(exec2)).toMatchObject({ slug: 'host-key-mismatch' })
    await narrow.stop()
    expect(await audit('host.key-refused')).toHaveLength(3)
    expect((await audit('host.key-refused'))[0]).toMatchObject({
      subject: host.id,
      actor_id: rig.owner.id,
      cause: expect.stringContaining(`host-key-mismatch: ssh-ed25519 ${rig.sshd.hostKeys[0]!.fingerprint}`),
    })
    expect(
      rig
        .relay()
        .events('shell-opened')
        .filter((event) => event['hostKey'] === other.fingerprint),
    ).toEqual([])
    const [shell] = (await rig.owner.client.listShells()).items
    expect(shell).toMatchObject({ state: 'failed', reason: 'The target does not present a pinned host key. No secret was sent.' })
  })

  test('that refuses the credential, is forbidden, is not there or is no SSH server gets a problem of its own, without a byte of its banner', async () => {
    const http = createServer((socket) => socket.end('HTTP/1.1 400 secret-banner\r\n\r\n'))
    await new Promise<void>((resolve) => http.listen(httpPort, '127.0.0.1', resolve))
    const wrongKey = makeKey(`${rig.sshd.directory}/stranger`, 'ed25519')
    const wrong = { kind: 'private-key' as const, privateKey: readFileSync(wrongKey.path, 'utf8') }
    const cases: [object, string][] = [
      [{ credential: wrong }, 'host-refused'],
      [{ credential: { kind: 'password', password: CANARY } }, 'host-refused'],
      [{ port: httpPort }, 'host-unreachable'],
      [{ port: 25 }, 'target-forbidden'],
      [{ address: '169.254.169.254' }, 'target-forbidden'],
      [{ address: '10.0.0.1' }, 'target-forbidden'],
      [{ address: '0x7f.1' }, 'target-forbidden'],
      [{ address: 'nowhere.invalid' }, 'host-unreachable'],
    ]
    for (const [change, slug] of cases) {
      const host = await rig.owner.client.createHost({ params: params(), body: { ...hostBody(rig.sshd), ...change } })
      const problem = await problemOf(rig.owner.client.execCommand({ params: { hostId: host.id }, body: { command: 'true' } }))
      expect([change, problem.slug]).toEqual([change, slug])
      expect(problem.detail).not.toContain('banner')
    }
    http.close()
  })

  test('takes only keys that are what they say, and computes their fingerprints itself', async () => {
    const [good] = rig.sshd.hostKeys
    const blob = Buffer.from(good!.key, 'base64')
    const bad = [
      { type: 'ssh-rsa', key: good!.key },
      { type: good!.type, key: blob.subarray(0, -1).toString('base64') },
      { type: good!.type, key: Buffer.concat([blob, Buffer.alloc(4)]).toString('base64') },
      { type: 'ssh-dss', key: good!.key },
      { type: 'ssh-ed25519-cert-v01@openssh.com', key: good!.key },
      { type: good!.type, key: '' },
    ]
    for (const key of bad) {
      const call = rig.owner.client.createHost({ params: params(), body: { ...hostBody(rig.sshd), keys: [key] } })
      expect([key.type, (await problemOf(call)).slug]).toEqual([key.type, 'invalid-request'])
    }
    const twice = { type: good!.type, key: good!.key }
    const repeated = rig.owner.client.createHost({ params: params(), body: { ...hostBody(rig.sshd), keys: [twice, twice] } })
    expect(await problemOf(repeated)).toMatchObject({ slug: 'invalid-request' })
  })

  test('that is deleted closes what lives on it and is gone for good', async () => {
    const host = await rig.owner.client.createHost({ params: params(), body: hostBody(rig.sshd) })
    const view = await operator.client.shells.open({ body: { hostId: host.id } }, { output: () => undefined })
    await rig.owner.client.deleteHost({ params: { hostId: host.id } })
    expect(await view.finished()).toMatchObject({ state: 'closed', reason: 'Its host was removed.' })
    expect(await problemOf(rig.owner.client.getHost({ params: { hostId: host.id } }))).toMatchObject({ slug: 'not-found' })
    expect(await problemOf(rig.owner.client.deleteHost({ params: { hostId: host.id } }))).toMatchObject({ slug: 'not-found' })
    expect(await operator.client.getShell({ params: { shellId: view.id } })).toMatchObject({ state: 'closed', hostId: host.id })
  })

  test('keeps its secrets out of the database, the logs of the Worker and those of the relay', async () => {
    const body = hostBody(rig.sshd, { kind: 'password', password: CANARY })
    const host = await rig.owner.client.createHost({ params: params(), body })
    await problemOf(rig.owner.client.execCommand({ params: { hostId: host.id }, body: { command: 'true' } }))
    const key = rig.sshd.privateKey.split('\n')[2]!
    const { results: tables } = await rig.edge.db
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .all<{ name: string }>()
    const rows = await Promise.all(tables.map(({ name }) => rig.edge.db.prepare(`SELECT * FROM "${name}"`).all()))
    const everything = [JSON.stringify(rows.map((r) => r.results)), JSON.stringify(rig.edge.server.getLogs()), rig.relay().lines.join('\n')]
    for (const text of everything) {
      expect(text).not.toContain(CANARY)
      expect(text).not.toContain(key)
    }
    expect(everything[0]).toContain(host.id)
  })

  test('shows in health whether the relay greets, and is soft', async () => {
    const ready = async () =>
      (await (await rig.edge.request('/health/ready')).json()) as {
        status: string
        dependencies: Record<string, { ok: boolean; hard: boolean; detail?: string }>
      }
    expect((await ready()).dependencies['relay']).toMatchObject({ ok: true, hard: false, detail: 'relay-test' })
    rig.network.block(true)
    const down = await until(async () => {
      const answer = await ready()
      return answer.dependencies['relay']?.ok === false && answer
    })
    expect(down).toMatchObject({ status: 'degraded', dependencies: { relay: { ok: false, hard: false } } })
    rig.network.block(false)
  })
})
