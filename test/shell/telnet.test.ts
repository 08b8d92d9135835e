import { afterAll, beforeAll, expect, test } from 'vitest'
import { NAWS, startTelnetHost } from '../relay/telnet-host.ts'
import { describeWith } from '../requires.ts'
import { problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

describeWith('sshd', 'a host that speaks Telnet', () => {
  let rig: Rig
  let telnet: Awaited<ReturnType<typeof startTelnetHost>>
  let hostId: string
  beforeAll(async () => {
    telnet = await startTelnetHost()
    rig = await startRig({ relayEnv: { RELAY_ALLOW_TARGETS: `127.0.0.1:${telnet.port}` } })
    hostId = (await create({})).id
  })
  afterAll(async () => {
    await rig.stop()
    telnet.stop()
  })

  const create = (more: object) =>
    rig.owner.client.createHost({
      params: { orgId: rig.org.id },
      body: { kind: 'telnet', name: 'switch-1', address: '127.0.0.1', port: telnet.port, isUnencryptedAccepted: true, ...more } as never,
    })
  const problem = async (call: Promise<unknown>) => (await problemOf(call)).slug
  const update = (id: string, body: object) => rig.owner.client.updateHost({ params: { hostId: id as never }, body: body as never })
  const open = async (id: string) => {
    const screen = screenOf()
    return { screen, view: await rig.owner.client.shells.open({ body: { hostId: id as never, columns: 90, rows: 30 } }, screen) }
  }

  test('is registered without a login, and only by who accepts on record that nothing is encrypted', async () => {
    expect(await problem(create({ isUnencryptedAccepted: undefined }))).toBe('invalid-request')
    expect(await problem(create({ user: 'ops' }))).toBe('invalid-request')
    const host = await rig.owner.client.getHost({ params: { hostId: hostId as never } })
    expect(host).toMatchObject({ kind: 'telnet', user: null, keys: [], credentialKind: null, port: telnet.port })
    const cause = await rig.edge.db.prepare("SELECT cause FROM audit_entries WHERE action = 'host.create' AND subject = ?").bind(hostId)
    expect(await cause.first('cause')).toBe(`telnet 127.0.0.1 port ${telnet.port}, without encryption`)
    expect(await problem(update(hostId, { user: 'ops' }))).toBe('invalid-request')
    expect(await problem(create({ jumpHostId: hostId }))).toBe('invalid-request')
    expect(await problem(update(rig.host.id, { jumpHostId: hostId }))).toBe('invalid-request')
    expect(await update(hostId, { name: 'switch-2', port: telnet.port })).toMatchObject({ name: 'switch-2', kind: 'telnet' })
  })

  test('has a terminal like any other: typed, sized, watched, recorded, and over when the host hangs up', async () => {
    const { screen, view } = await open(hostId)
    await screen.until('[size 0.90.0.30]')
    view.resize(120, 40)
    await screen.until('[size 0.120.0.40]')
    view.write('hello\r')
    await screen.until('you said 5')
    view.write('exit\r')
    await view.finished()
    expect(screen.text()).toContain('bye')
    const shell = await rig.owner.client.getShell({ params: { shellId: view.id } })
    expect(shell).toMatchObject({ state: 'closed', reason: 'The host ended the connection.' })
    const recording = await until(async () => {
      const kept = await rig.owner.client.getRecording({ params: { shellId: view.id } })
      return kept.endedAt !== undefined && kept
    })
    expect(recording).toMatchObject({ kind: 'pty', bytes: screen.bytes(), gaps: 0 })
    expect(telnet.said).toContain(NAWS)
  })

  test('goes on where it was when the network between Worker and relay is cut', async () => {
    const { screen, view } = await open(hostId)
    await screen.until('login: ')
    rig.network.cut()
    view.write('again\r')
    await screen.until('you said 5')
    expect(screen.text().match(/login: /g)).toHaveLength(1)
    await view.end()
    await until(() => telnet.sockets.size === 0)
  })

  test('can lie behind an SSH host, so that nobody on the way reads along', async () => {
    const behind = await create({ name: 'switch-3', jumpHostId: rig.host.id })
    const { screen, view } = await open(behind.id)
    await screen.until('login: ')
    view.write('exit\r')
    await view.finished()
    expect(rig.relay().events('shell-opened').at(-1)).toMatchObject({ protocol: 'telnet', jumps: 1 })
  })

  test('runs no commands and holds no files', async () => {
    const at = { hostId: hostId as never }
    expect(await problem(rig.owner.client.execCommand({ params: at, body: { command: 'id' } }))).toBe('host-unsuited')
    expect(await problem(rig.owner.client.listFiles({ params: at, query: { path: '/' } }))).toBe('host-unsuited')
    const body = { on: { hostIds: [rig.host.id, hostId as never] }, command: 'id' }
    expect(await problemOf(rig.owner.client.startRun({ params: { orgId: rig.org.id }, body }))).toEqual({
      slug: 'host-unsuited',
      detail: 'These run no commands: switch-2.',
    })
    expect((await rig.owner.client.listRuns({ params: { orgId: rig.org.id } })).items).toEqual([])
  })
})
