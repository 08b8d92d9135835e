import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { HOOK_ANSWER_BYTES_MAX, type HookPoint, type PutHook } from '../../src/contract/hooks.ts'
import type { TestUser } from '../harness.ts'
import { makeKey } from '../relay/sshd.ts'
import { describeWith } from '../requires.ts'
import { printedVerify, type Reply, startReceiver } from '../webhooks/receiver.ts'
import { hostBody, problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

describeWith('sshd', 'hooks of an organisation', () => {
  let rig: Rig
  let receiver: Awaited<ReturnType<typeof startReceiver>>
  let verify: Awaited<ReturnType<typeof printedVerify>>
  let operator: TestUser
  let webhookId: string
  let secret: string
  beforeAll(async () => {
    ;[receiver, verify] = await Promise.all([startReceiver(), printedVerify()])
    rig = await startRig()
    operator = await rig.member('operator')
    const made = await rig.owner.client.createWebhook({ body: { url: `${receiver.origin}/gate`, kinds: [], orgId: rig.org.id } })
    webhookId = made.webhook.id
    secret = made.secret
  })
  afterAll(async () => {
    await rig.stop()
    await receiver.stop()
  })
  beforeEach(async () => {
    for (const { point } of (await list()).items) await remove(point)
    receiver.answer('/gate', { json: { decision: 'allow' } })
    receiver.received.length = 0
  })

  const at = (point: HookPoint) => ({ orgId: rig.org.id, point })
  const list = (user = rig.owner) => user.client.listHooks({ params: { orgId: rig.org.id } })
  const remove = (point: HookPoint, user = rig.owner) => user.client.deleteHook({ params: at(point) })
  const point = (where: HookPoint, body: Partial<PutHook> = {}, user = rig.owner) =>
    user.client.putHook({ params: at(where), body: { target: { kind: 'webhook', webhookId }, ...body } as never })
  const exec = (command = 'echo ran', hostId: string = rig.host.id) =>
    operator.client.execCommand({ params: { hostId: hostId as never }, body: { command } })
  const open = () => operator.client.openShell({ body: { hostId: rig.host.id } })
  const files = () => operator.client.listFiles({ params: { hostId: rig.host.id }, query: { path: '/tmp' } })
  const asked = () => receiver.at('/gate').map(({ body }) => body)
  const told = (type: string, n = 1) => until(() => asked().filter((body) => body.type === type)[n - 1])
  const count = (table: string) => rig.edge.db.prepare(`SELECT count(*) AS n FROM ${table}`).first<number>('n')
  const begun = async () => [await count('shells'), await count('shell_commands')]
  const causes = async (action: string) => {
    const { results } = await rig.edge.db
      .prepare('SELECT actor_id, cause FROM audit_entries WHERE action = ? ORDER BY id')
      .bind(action)
      .all<{ actor_id: string; cause: string }>()
    return results
  }

  test('that still think when a run is cancelled let nothing begin by what they say then', async () => {
    await point('before-exec')
    const cancelled = Promise.withResolvers<void>()
    receiver.answer('/gate', { json: { decision: 'allow' }, after: cancelled.promise })
    const run = await operator.client.startRun({
      params: { orgId: rig.org.id },
      body: { on: { hostIds: [rig.host.id] }, command: 'touch /tmp/never-begun' } as never,
    })
    await until(() => asked().length === 1)
    await operator.client.cancelRun({ params: { runId: run.id } })
    cancelled.resolve()
    await until(async () => (await operator.client.getRun({ params: { runId: run.id } })).endedAt)
    const { items } = await operator.client.listRunHosts({ params: { runId: run.id } })
    expect(items).toMatchObject([{ state: 'skipped' }])
    const { items: log } = await rig.owner.client.listCommands({ params: { orgId: rig.org.id } })
    expect(log.filter(({ command }) => command === 'touch /tmp/never-begun')).toMatchObject([{ state: 'failed' }])
    expect((await exec('ls /tmp/never-begun')).exitCode).not.toBe(0)
  })

  test('are asked before anything begins: signed, who, what and where; what they allow runs', async () => {
    await point('before-connect')
    await point('before-exec')
    const { shellId, stdout } = await exec()
    expect(stdout).toBe('ran\n')
    const who = { shellId, orgId: rig.org.id, userId: operator.id, use: 'exec' }
    const host = { id: rig.host.id, kind: 'ssh', name: 'web-1', address: rig.sshd.host, port: rig.sshd.port, tags: [] }
    expect(asked()).toMatchObject([
      { type: 'shell.before_connect', data: { ...who, host } },
      { type: 'shell.before_exec', data: { ...who, host, command: 'echo ran' } },
    ])
    expect(asked()[0]?.data).not.toHaveProperty('command')
    await operator.client.execCommand({
      params: { hostId: rig.host.id },
      body: { command: 'cat', stdin: 'canary-ä', env: { TZ: 'canary-zone', PARVIS_TICKET: 'canary-7' } },
    })
    expect(asked().at(-1)?.data).toMatchObject({ command: 'cat', stdinBytes: 9, envNames: ['TZ', 'PARVIS_TICKET'] })
    expect(JSON.stringify(asked().slice(2))).not.toContain('canary')
    for (const { headers, raw } of receiver.at('/gate')) expect(verify(headers, raw, secret)).toBe(true)
    expect(new Set(receiver.at('/gate').map(({ headers }) => headers['webhook-id'])).size).toBe(4)
  })

  test('refuse with a reason: shells, commands, transfers and hosts of a run; nothing begins, and it is on record', async () => {
    await point('before-connect')
    const reason = 'The ticket OPS-7 is closed.'
    receiver.answer('/gate', { json: { decision: 'refuse', reason } })
    const before = await begun()
    for (const call of [open, exec, files]) expect(await problemOf(call())).toEqual({ slug: 'hook-refused', detail: reason })
    expect(await begun()).toEqual(before)
    const run = await operator.client.startRun({
      params: { orgId: rig.org.id },
      body: { on: { hostIds: [rig.host.id] }, command: 'echo many' },
    })
    const [host] = await until(async () => {
      const { items } = await operator.client.listRunHosts({ params: { runId: run.id }, query: {} })
      return items[0]?.state === 'failed' && items
    })
    expect(host).toMatchObject({ problem: 'hook-refused', stdout: '' })
    expect(asked().map(({ data }) => data['use'])).toEqual(['shell', 'exec', 'files', 'exec'])
    expect(await causes('hook.refuse')).toEqual(
      ['shell', 'exec', 'files', 'exec'].map((use) => ({
        actor_id: operator.id,
        cause: `before-connect ${use} ${rig.host.id}: ${reason}`,
      })),
    )
  })

  test('before a command or a transfer say what it is about, and leave terminals alone', async () => {
    await point('before-exec')
    receiver.answer('/gate', { json: { decision: 'refuse', reason: 'No.' } })
    expect((await problemOf(files())).slug).toBe('hook-refused')
    expect(asked()[0]?.data).toMatchObject({ use: 'files', file: { op: 'list', path: '/tmp' } })
    await operator.client.closeShell({ params: { shellId: (await open()).id } })
    expect(asked()).toHaveLength(1)
  })

  test('are not asked about what could not begin anyway', async () => {
    await point('before-connect')
    await point('before-exec')
    const params = { orgId: rig.org.id }
    const { etag, ...policy } = await rig.owner.client.getShellPolicy({ params })
    const bound = await rig.owner.client.putShellPolicy({ params, body: { ...policy, reach: [] }, ifMatch: etag })
    for (const call of [open, exec, files]) expect((await problemOf(call())).slug).toBe('access-required')
    expect(asked()).toEqual([])
    await rig.owner.client.putShellPolicy({ params, body: policy, ifMatch: bound.etag })
  })

  test('that do not answer in time let nothing begin, or let it go on where the organisation said so', async () => {
    receiver.answer('/gate', 'silence')
    await point('before-connect', { deadlineMs: 200 })
    expect((await problemOf(exec())).slug).toBe('hook-failed')
    await point('before-connect', { deadlineMs: 200, failMode: 'open' })
    expect((await exec()).stdout).toBe('ran\n')
    expect((await causes('hook.fail')).slice(-2).map(({ cause }) => cause)).toEqual([
      `before-connect exec ${rig.host.id}: timeout, closed`,
      `before-connect exec ${rig.host.id}: timeout, open`,
    ])
  })

  test('that answer anything but a decision have failed, and nobody is followed elsewhere', async () => {
    await point('before-connect')
    const replies: readonly Reply[] = [
      { text: 'yes' },
      { json: { decision: 'perhaps' } },
      { json: { decision: 'refuse' } },
      { json: { decision: 'refuse', reason: 'two\nlines' } },
      { text: `{"decision":"allow","x":"${'x'.repeat(HOOK_ANSWER_BYTES_MAX)}"}` },
      204,
      500,
      { location: `${receiver.origin}/elsewhere` },
    ]
    for (const reply of replies) {
      receiver.answer('/gate', reply)
      expect((await problemOf(exec())).slug).toBe('hook-failed')
      // The harness's way out answers 500 for a redirect that is not to be followed.
      expect((await causes('hook.fail')).at(-1)?.cause).toMatch(/^before-connect exec hst_\w+: (answer|redirect), closed$/)
    }
    expect(receiver.at('/elsewhere')).toEqual([])
  })

  test('are told when a host lets somebody in, of each alert once, and of the end with its cause', async () => {
    for (const where of ['after-connect', 'on-alert', 'on-close'] as const) await point(where)
    const policy = await rig.owner.client.getShellPolicy({ params: { orgId: rig.org.id } })
    const { etag, ...rest } = policy
    const alerts = [{ name: 'Root', text: 'become root' }]
    await rig.owner.client.putShellPolicy({ params: { orgId: rig.org.id }, ifMatch: etag, body: { ...rest, alerts } as never })
    const screen = screenOf()
    const view = await operator.client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
    await screen.until('$ ')
    view.write("echo become ro''ot; echo become ro''ot; exit 3\n")
    await view.finished()
    const of = { shellId: view.id, orgId: rig.org.id, hostId: rig.host.id, userId: operator.id, use: 'shell' }
    expect((await told('shell.after_connect')).data).toEqual(of)
    expect((await told('shell.on_alert')).data).toEqual({ ...of, rule: 'Root' })
    const reason = 'The remote program ended with exit code 3.'
    expect((await told('shell.on_close')).data).toEqual({ ...of, state: 'closed', reason })
    const { shellId } = await exec('exit 5')
    const ran = { shellId, orgId: rig.org.id, hostId: rig.host.id, userId: operator.id, use: 'exec' }
    expect((await told('shell.after_connect', 2)).data).toEqual(ran)
    expect((await told('shell.on_close', 2)).data).toEqual({ ...ran, state: 'done', exitCode: 5, signal: null })
    expect((await problemOf(files())).slug).toBe('file-failed')
    expect((await told('shell.on_close', 3)).data).toMatchObject({ use: 'files', state: 'failed', reason: 'file-failed' })
    expect(asked().filter(({ type }) => type === 'shell.on_alert')).toHaveLength(1)
    const { fingerprint } = rig.sshd.hostKeys[0]!
    const other = makeKey(`${rig.sshd.directory}/other`, 'ed25519')
    const body = { ...hostBody(rig.sshd), name: 'changed', keys: [{ type: other.type, key: other.key }] }
    const changed = await rig.owner.client.createHost({ params: { orgId: rig.org.id }, body })
    expect((await problemOf(rig.owner.client.openShell({ body: { hostId: changed.id } }))).slug).toBe('host-key-mismatch')
    expect((await told('shell.on_alert', 2)).data).toMatchObject({
      ...{ hostId: changed.id, userId: rig.owner.id, use: 'shell' },
      hostKey: { hostId: changed.id, pinned: [other.fingerprint], presented: fingerprint },
    })
    for (const { headers, raw } of receiver.at('/gate')) expect(verify(headers, raw, secret)).toBe(true)
    const { items } = await rig.owner.client.listWebhookDeliveries({ params: { webhookId: webhookId as never }, query: {} })
    expect(items.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['shell.after_connect', 'shell.on_alert', 'shell.on_close']))
  })

  test('can be a module of the deployment, which refuses by its own rule', async () => {
    await point('before-connect', { target: { kind: 'module', module: 'change-freeze' } })
    const frozen = await rig.owner.client.createHost({
      params: { orgId: rig.org.id },
      body: { ...hostBody(rig.sshd), name: 'db-1', tags: ['frozen'] },
    })
    expect((await exec()).stdout).toBe('ran\n')
    expect(await problemOf(exec('echo x', frozen.id))).toEqual({
      slug: 'hook-refused',
      detail: 'Changes are frozen on db-1: an owner must take the tag `frozen` off first.',
    })
  })

  test('can be a module that hears, which is told by the outbox too', async () => {
    for (const where of ['after-connect', 'on-close'] as const) await point(where, { target: { kind: 'module', module: 'log-lines' } })
    const { shellId } = await exec('exit 4')
    const line = (event: string) => until(() => rig.edge.logs().find((one) => one['event'] === event && one['shellId'] === shellId))
    expect(await line('hook.after-connect')).toMatchObject({ orgId: rig.org.id, userId: operator.id, use: 'exec' })
    expect(await line('hook.on-close')).toMatchObject({ state: 'done', exitCode: 4 })
    expect(asked()).toEqual([])
  })

  test('that lead to a webhook which is gone or stopped have failed', async () => {
    const { webhook } = await rig.owner.client.createWebhook({ body: { url: `${receiver.origin}/gone`, kinds: [], orgId: rig.org.id } })
    await point('before-connect', { target: { kind: 'webhook', webhookId: webhook.id } })
    expect((await problemOf(exec())).slug).toBe('hook-failed')
    await rig.owner.client.updateWebhook({ params: { webhookId: webhook.id }, body: { enabled: false } })
    expect((await problemOf(exec())).slug).toBe('hook-failed')
    await rig.owner.client.deleteWebhook({ params: { webhookId: webhook.id } })
    expect((await problemOf(exec())).slug).toBe('hook-failed')
    expect((await causes('hook.fail')).slice(-2).map(({ cause }) => cause.split(': ')[1])).toEqual(['disabled, closed', 'disabled, closed'])
  })

  test('are pointed by owners alone, at what is theirs and serves the point', async () => {
    const made = await point('before-exec', { deadlineMs: 500, failMode: 'open' })
    expect(made).toMatchObject({ target: { kind: 'webhook', webhookId }, deadlineMs: 500, failMode: 'open' })
    expect(await point('on-close')).toMatchObject({ deadlineMs: null, failMode: null })
    const { items, modules } = await list()
    expect(items.map((hook) => hook.point)).toEqual(['before-exec', 'on-close'])
    expect(modules).toEqual([
      { name: 'change-freeze', points: ['before-connect'] },
      { name: 'log-lines', points: ['after-connect', 'on-close', 'on-alert'] },
    ])
    const stranger = await rig.edge.signUp('stranger')
    for (const [user, slug] of [
      [operator, 'forbidden'],
      [stranger, 'not-found'],
    ] as const)
      for (const call of [() => list(user), () => point('on-close', {}, user), () => remove('on-close', user)])
        expect((await problemOf(call())).slug).toBe(slug)
    const foreign = await stranger.client.createWebhook({ body: { url: `${receiver.origin}/other`, kinds: [] } })
    const misfits: readonly (readonly [HookPoint, Partial<PutHook>])[] = [
      ['on-close', { failMode: 'open' }],
      ['on-close', { deadlineMs: 500 }],
      ['before-exec', { target: { kind: 'module', module: 'change-freeze' } }],
      ['before-exec', { target: { kind: 'module', module: 'constructor' } }],
      ['before-exec', { target: { kind: 'webhook', webhookId: foreign.webhook.id } }],
      ['before-exec', { deadlineMs: 60_000 }],
    ]
    for (const [where, body] of misfits) expect((await problemOf(point(where, body))).slug).toBe('invalid-request')
    await remove('on-close')
    await remove('on-close')
    expect((await list()).items).toEqual([made])
    expect((await causes('hook.put')).at(-1)?.cause).toBe(`on-close ${webhookId}`)
    expect((await causes('hook.delete')).at(-1)?.cause).toBe('on-close')
  })
})
