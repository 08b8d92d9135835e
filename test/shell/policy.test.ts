import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PutShellPolicy } from '../../src/contract/shell-policy.ts'
import { PASSWORD, type TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { bearer, openRawViewer } from './raw-viewer.ts'
import { hostBody, problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

describeWith('sshd', 'what an organisation lets its members do on its hosts', () => {
  let rig: Rig
  let operator: TestUser
  let second: TestUser
  let reader: TestUser
  let webId: string
  let dbId: string
  beforeAll(async () => {
    rig = await startRig()
    operator = await rig.member('operator')
    second = await rig.member('owner')
    reader = await rig.member('reader')
    const create = (name: string, tags: string[]) =>
      rig.owner.client.createHost({ params: { orgId: rig.org.id }, body: { ...hostBody(rig.sshd), name, tags } })
    webId = (await create('web', ['web'])).id
    dbId = (await create('db', ['db'])).id
  })
  afterAll(() => rig.stop())

  const OPEN: PutShellPolicy = {
    uses: ['shell', 'exec', 'files'],
    stepUp: false,
    reach: null,
    allow: null,
    deny: [],
    alerts: [],
    fileRoots: null,
  }
  const get = () => rig.owner.client.getShellPolicy({ params: { orgId: rig.org.id } })
  const put = async (change: Partial<PutShellPolicy>) =>
    rig.owner.client.putShellPolicy({ params: { orgId: rig.org.id }, ifMatch: (await get()).etag, body: { ...OPEN, ...change } as never })
  const exec = (user: TestUser, hostId: string, command = 'echo ok') =>
    user.client.execCommand({ params: { hostId: hostId as never }, body: { command } })
  const open = (user: TestUser, hostId: string) => user.client.openShell({ body: { hostId: hostId as never } })
  const ask = (user: TestUser, hostId: string, seconds = 300) =>
    user.client.requestAccess({ params: { hostId: hostId as never }, body: { reason: 'A disk is full.', seconds } })
  const decide = (user: TestUser, requestId: string, isApproved = true) =>
    user.client.decideAccess({ params: { requestId: requestId as never }, body: { isApproved } })
  const slugOf = async (call: Promise<unknown>) => (await problemOf(call)).slug
  const closed = (shellId: string) =>
    until(async () => {
      const shell = await rig.owner.client.getShell({ params: { shellId: shellId as never } })
      return shell.closedAt !== undefined && shell
    })

  test('is changed by owners as a whole, by one of two who change it at once, and is on record', async () => {
    const before = await get()
    expect(before).toMatchObject({ ...OPEN, uses: ['exec', 'files', 'shell'] })
    const both = await Promise.allSettled(
      [rig.owner, second].map(({ client }, n) =>
        client.putShellPolicy({ params: { orgId: rig.org.id }, ifMatch: before.etag, body: { ...OPEN, deny: [[`x${n}`]] } as never }),
      ),
    )
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.flatMap((one) => (one.status === 'rejected' ? [one.reason.slug] : []))).toEqual(['precondition-failed'])
    for (const [user, slug] of [
      [operator, 'forbidden'],
      [reader, 'forbidden'],
      [await rig.edge.signUp('stranger'), 'not-found'],
    ] as const) {
      const call = user.client.putShellPolicy({ params: { orgId: rig.org.id }, ifMatch: '*', body: OPEN as never })
      expect(await slugOf(call)).toBe(slug)
    }
    const { results } = await rig.edge.db.prepare("SELECT cause FROM audit_entries WHERE action = 'shell.policy'").all()
    expect(results).toEqual([{ cause: 'deny' }])
  })

  test('lets a role or a person reach the hosts of a tag, and nobody else; owners reach all', async () => {
    await put({ reach: [{ to: { role: 'operator' }, tags: ['web'] }] as never })
    expect(await exec(operator, webId)).toMatchObject({ exitCode: 0 })
    for (const call of [() => exec(operator, dbId), () => open(operator, dbId)]) expect(await slugOf(call())).toBe('access-required')
    expect(await exec(rig.owner, dbId)).toMatchObject({ exitCode: 0 })
    expect(await slugOf(exec(reader, webId))).toBe('forbidden')
    const run = await operator.client.startRun({
      params: { orgId: rig.org.id },
      body: { on: { hostIds: [webId, dbId] as never }, command: 'true' },
    })
    await until(async () => (await operator.client.getRun({ params: { runId: run.id } })).endedAt !== undefined)
    expect((await operator.client.listRunHosts({ params: { runId: run.id } })).items).toMatchObject([
      { state: 'done', exitCode: 0 },
      { state: 'failed', problem: 'access-required', shellId: null },
    ])
    await put({ reach: [{ to: { userId: operator.id }, tags: ['*'] }] as never })
    expect(await exec(operator, dbId)).toMatchObject({ exitCode: 0 })
    await put({ reach: [] })
    expect(await slugOf(exec(operator, webId))).toBe('access-required')
  })

  test('what it refuses while the object of a command is on its way to a relay is never heard of there', async () => {
    const { events } = rig.relay()
    const heard = () => ['shell-opened', 'shell-refused', 'grant-refused'].map((name) => events(name).length)
    const before = heard()
    await put({ reach: [] })
    const streamed = operator.client.streamCommand({ params: { hostId: webId as never }, body: { command: 'echo ok' } })
    expect(await Promise.all([slugOf(exec(operator, webId)), slugOf(streamed)])).toEqual(['access-required', 'access-required'])
    // A link that is still on its way is closed as soon as it is there.
    await exec(rig.owner, webId)
    await until(() => rig.network.links() === 0)
    expect(heard()).toEqual(before.map((count, i) => count + (i === 0 ? 1 : 0)))
    const { results } = await rig.edge.db
      .prepare('SELECT 1 FROM shell_commands WHERE user_id = ? AND ended_at IS NULL')
      .bind(operator.id)
      .all()
    expect(results).toEqual([])
  })

  test('ends the shells of whom a change leaves outside, also when a host loses its tag', async () => {
    await put({ reach: [{ to: { role: 'operator' }, tags: ['web', 'db'] }] as never })
    const [onWeb, onDb] = [await open(operator, webId), await open(operator, dbId)]
    await put({ reach: [{ to: { role: 'operator' }, tags: ['web'] }] as never })
    expect(await closed(onDb.id)).toMatchObject({ state: 'closed', reason: 'Its opener may not reach this host any more.' })
    await rig.owner.client.updateHost({ params: { hostId: webId as never }, body: { tags: ['moved'] } })
    expect(await closed(onWeb.id)).toMatchObject({ state: 'closed' })
    await rig.owner.client.updateHost({ params: { hostId: webId as never }, body: { tags: ['web'] } })
    const last = await open(operator, webId)
    await put({ uses: ['exec', 'files'] })
    expect(await closed(last.id)).toMatchObject({ state: 'closed' })
    await put({})
  })

  test('gives access for a time: another owner approves, once, never their own; its end ends the shell', async () => {
    await put({ reach: [] })
    const request = await ask(operator, dbId)
    expect(request).toMatchObject({ state: 'pending', decidedBy: null, userId: operator.id })
    expect(await slugOf(decide(operator, request.id))).toBe('forbidden')
    expect(await slugOf(decide(reader, request.id))).toBe('not-found')
    const own = await ask(rig.owner, dbId)
    expect(await slugOf(decide(rig.owner, own.id))).toBe('forbidden')
    const both = await Promise.allSettled([decide(rig.owner, request.id), decide(second, request.id, false)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const decided = (await rig.owner.client.listAccessRequests({ params: { orgId: rig.org.id } })).items.find(({ id }) => id === request.id)
    const approved = decided?.state === 'approved' ? request : await ask(operator, dbId)
    if (approved !== request) await decide(second, approved.id)
    expect(await exec(operator, dbId)).toMatchObject({ exitCode: 0 })
    expect(await slugOf(exec(operator, webId))).toBe('access-required')
    const shell = await open(operator, dbId)
    await operator.client.endAccess({ params: { requestId: approved.id } })
    expect(await closed(shell.id)).toMatchObject({ reason: 'Its opener may not reach this host any more.' })
    expect(await slugOf(exec(operator, dbId))).toBe('access-required')
    expect(await slugOf(decide(rig.owner, approved.id))).toBe('conflict')
    expect(
      (await operator.client.listAccessRequests({ params: { orgId: rig.org.id } })).items.every(({ userId }) => userId === operator.id),
    ).toBe(true)
    await rig.owner.client.endAccess({ params: { requestId: own.id } })
  })

  test('an approval that runs out ends the shell by itself, and lets nothing new begin', async () => {
    await put({ reach: [] })
    const request = await ask(operator, dbId)
    await decide(rig.owner, request.id)
    const expiresAt = Date.now() + 4_000
    await rig.edge.db.prepare('UPDATE access_requests SET expires_at = ? WHERE id = ?').bind(expiresAt, request.id).run()
    // Somebody watches, or the object would leave the relay just when that ends the shell, and hear of it minutes later.
    const view = await operator.client.shells.open({ body: { hostId: dbId as never } }, { output: () => undefined })
    expect(await closed(view.id)).toMatchObject({ reason: 'It lived as long as its host or its approval allows, so it was ended.' })
    await until(async () => Date.now() > expiresAt)
    expect(await slugOf(open(operator, dbId))).toBe('access-required')
  })

  test('an approval that is gone without a word ends its shell by the next look at who watches', async () => {
    await put({ reach: [] })
    const request = await ask(operator, dbId)
    await decide(rig.owner, request.id)
    const shell = await open(operator, dbId)
    await rig.edge.db.prepare('UPDATE access_requests SET expires_at = 1 WHERE id = ?').bind(request.id).run()
    const watching = second.client.shells.attach(shell.id, { output: () => undefined })
    expect(await closed(shell.id)).toMatchObject({ reason: 'Its opener may not use this host any more.' })
    watching.close()
  })

  test('lets run what its rules allow: judged as words, sent as these words, whatever they hide', async () => {
    await put({
      uses: ['exec'],
      allow: [
        ['echo', '**'],
        ['rm', '**'],
      ],
      deny: [['rm', '**']],
    } as never)
    expect(await exec(operator, webId, 'echo "two  words" \'$HOME;id\' x')).toMatchObject({ stdout: 'two  words $HOME;id x\n' })
    for (const command of ['rm x', '/bin/rm x', 'echo a; id', 'echo $(id)', 'echo a\nid', 'id', '/bin/echo x', 'echo *'])
      expect(await slugOf(exec(operator, webId, command))).toBe('command-forbidden')
    const run = operator.client.startRun({ params: { orgId: rig.org.id }, body: { on: { tag: 'web' }, command: 'id' } })
    expect(await slugOf(run)).toBe('command-forbidden')
    expect(await slugOf(open(rig.owner, webId))).toBe('forbidden')
    await put({ uses: ['shell'] } as never)
    expect(await slugOf(exec(rig.owner, webId))).toBe('forbidden')
  })

  test('may ask for a fresh proof before anything begins, which a key cannot give', async () => {
    await put({ stepUp: true })
    const { apiKey: _, token } = await operator.client.createApiKey({ body: { name: 'CI', scopes: ['shells:write'] } })
    const byKey = await rig.edge.request(`/v1/hosts/${webId}/exec`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ command: 'id' }),
    })
    expect(await byKey.json()).toMatchObject({ type: '/problems/step-up-required' })
    await rig.edge.db
      .prepare('UPDATE sessions SET authenticated_at = ? WHERE user_id = ?')
      .bind(Date.now() - 3_600_000, operator.id)
      .run()
    expect(await slugOf(open(operator, webId))).toBe('step-up-required')
    expect(await slugOf(exec(operator, webId))).toBe('step-up-required')
    await operator.client.stepUp({ body: { method: 'password', password: PASSWORD } })
    expect(await exec(operator, webId)).toMatchObject({ exitCode: 0 })
    const screen = screenOf()
    const view = await operator.client.shells.open({ body: { hostId: webId as never } }, { output: screen.output })
    await screen.until('$ ')
    // Whoever holds a key or another session of the opener has proven nothing.
    const other = rig.edge.client()
    await other.login({ body: { email: operator.email, password: PASSWORD } })
    const key = await operator.client.createApiKey({ body: { name: 'Looks', scopes: ['shells:read', 'shells:write'] } })
    for (const ways of [await bearer(other), ['parvis', `bearer.${key.token}`]]) {
      const viewer = await openRawViewer(rig.edge.origin, view.id, ways)
      viewer.tell({ type: 'attach' })
      expect(await viewer.frame('hello')).toMatchObject({ role: 'watcher' })
      viewer.type(0, 'echo stolen\n')
      expect(await viewer.frame('refused')).toMatchObject({ what: 'input' })
      viewer.close()
    }
    expect(view.role).toBe('opener')
    view.write('exit\n')
    await view.finished()
    expect(screen.text()).not.toContain('stolen')
    await put({})
  })

  test('raises an alert for words on a terminal, once in a while, and holds nothing back', async () => {
    await put({ alerts: [{ name: 'Root', text: 'become root' }] })
    const screen = screenOf()
    const view = await operator.client.shells.open({ body: { hostId: webId as never } }, { output: screen.output })
    await screen.until('$ ')
    view.write("printf 'bec\\033[1mome\\033[0m ro''ot\\nbecome ro''ot\\n'; exit\n")
    await view.finished()
    const alerts = await until(async () => {
      const { results } = await rig.edge.db.prepare("SELECT * FROM audit_entries WHERE action = 'shell.alert'").all()
      return results.length > 0 && results
    })
    expect(alerts).toMatchObject([{ subject: view.id, actor_id: operator.id, org_id: rig.org.id, cause: 'Root' }])
    await put({})
  })
})
