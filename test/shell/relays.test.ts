import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RelayConfig, relaysFor } from '../../src/edge/platform/relays.ts'
import { freePort } from '../relay/sshd.ts'
import { describeWith } from '../requires.ts'
import { makeKeys, type Rig, screenOf, startRelay, startRig, until } from './rig.ts'

const NAMES = ['relay-a', 'relay-b'] as const
type Name = (typeof NAMES)[number]
type Relay = Awaited<ReturnType<typeof startRelay>>

describeWith('sshd', 'of two relays', () => {
  const keys = { 'relay-a': makeKeys(), 'relay-b': makeKeys() }
  const { RELAY_DIALER_KEY } = keys['relay-a'].edge
  const { RELAY_DIALER_KEYS } = keys['relay-a'].relay
  const ports = new Map<Name, number>()
  const relays = new Map<Name, Relay>()
  let rig: Rig
  let sshdPort = 0

  async function start(name: Name): Promise<void> {
    const limits = { RELAY_DRAIN_SECONDS: '600', RELAY_HEARTBEAT_SECONDS: '1' }
    const env = { RELAY_ID: name, RELAY_DIALER_KEYS, RELAY_ALLOW_PORTS: String(sshdPort), ...limits }
    relays.set(name, await startRelay(keys[name], { port: ports.get(name) ?? 0, env }))
  }
  beforeAll(async () => {
    sshdPort = await freePort()
    for (const name of NAMES) {
      ports.set(name, await freePort())
      await start(name)
    }
    const listed = NAMES.map((id) => {
      const { RELAY_VERIFY_KEY, RELAY_SEAL_KEY } = keys[id].edge
      return { id, host: '127.0.0.1', port: ports.get(id), verifyKey: JSON.parse(RELAY_VERIFY_KEY), sealKey: JSON.parse(RELAY_SEAL_KEY) }
    })
    rig = await startRig({ sshd: { port: sshdPort }, vars: { RELAYS: JSON.stringify(listed), RELAY_DIALER_KEY } })
  })
  afterAll(async () => {
    await rig.stop()
    for (const relay of relays.values()) await relay.kill()
  })

  const isAt = (name: Name, shellId: string) =>
    relays
      .get(name)
      ?.events('shell-opened')
      .some(({ shell }) => shell === shellId) === true
  /** Opens a shell and tells which relay has it. */
  async function open() {
    const screen = screenOf()
    const view = await rig.owner.client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
    await screen.until('$ ')
    const at = await until(() => NAMES.find((name) => isAt(name, view.id)))
    return { view, screen, at, relay: relays.get(at) as Relay, other: NAMES.find((name) => name !== at) as Name }
  }

  test('the one that drains keeps its shells until they end and gets no new one; they go to the other at once', async () => {
    const { view, screen, relay, at, other } = await open()
    process.kill(relay.pid ?? 0, 'SIGTERM')
    await until(() => relay.events('relay-draining').length === 1)
    const next = await open()
    expect(next.at).toBe(other)
    const command = { params: { hostId: rig.host.id }, body: { command: 'echo here' } }
    expect(await rig.owner.client.execCommand(command)).toMatchObject({ stdout: 'here\n' })
    view.write('echo st""ill\n')
    await screen.until('still')
    view.write('exit\n')
    expect(await view.finished()).toMatchObject({ state: 'closed', exitCode: 0 })
    await until(() => relay.events('relay-closed').length === 1)
    next.view.write('exit\n')
    await next.view.finished()
    await start(at)
  })

  test('the one that dies takes its shells along, which end with a reason; new ones go to the one that lives', async () => {
    const { view, relay, at, other } = await open()
    await relay.kill()
    const next = await open()
    expect(next.at).toBe(other)
    next.view.write('echo well\n')
    await next.screen.until('well\r\n')
    await start(at)
    const end = await view.finished()
    expect(end).toMatchObject({ state: 'failed', reason: expect.stringContaining('it was restarted') })
    next.view.write('exit\n')
    await next.view.finished()
  })
})

test('an organisation with relays of its own uses those alone, the others those that name nobody, and none that drains', () => {
  const relay = (id: string, orgIds: readonly string[], isDraining = false) => ({ id, orgIds, isDraining }) as unknown as RelayConfig
  const relays = [relay('own', ['org_1']), relay('drained', ['org_1'], true), relay('open', []), relay('closing', [], true)]
  const idsFor = (orgId: string) => relaysFor(relays, orgId).map(({ id }) => id)
  expect([idsFor('org_1'), idsFor('org_2')]).toEqual([['own'], ['open']])
  expect(relaysFor([relay('own', ['org_1'], true), relay('open', [])], 'org_1')).toEqual([])
})
