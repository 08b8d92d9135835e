import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ShellView } from '../../src/client/client.ts'
import type { PresenceFrame } from '../../src/contract/viewer.ts'
import type { TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { bearer, openRawViewer } from './raw-viewer.ts'
import { problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

describeWith('sshd', 'watching a shell', () => {
  let rig: Rig
  let operator: TestUser
  let reader: TestUser
  beforeAll(async () => {
    rig = await startRig()
    operator = await rig.member('operator')
    reader = await rig.member('reader')
  })
  afterAll(() => rig.stop())

  const exec = (command: string) => rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command } })
  /** The latest word on who watches. */
  function presenceOf(view: ShellView) {
    let latest: Omit<PresenceFrame, 'type'> | undefined
    view.on('presence', (presence) => {
      latest = presence
    })
    return {
      now: () => latest,
      until: (look: (p: Omit<PresenceFrame, 'type'>) => boolean) => until(() => latest && look(latest) && latest),
    }
  }
  async function open() {
    const screen = screenOf()
    const view = await operator.client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
    const presence = presenceOf(view)
    await screen.until('$ ')
    return { view, screen, presence }
  }
  function watch(by: TestUser, id: string) {
    const screen = screenOf()
    const view = by.client.shells.attach(id, { output: screen.output })
    return { view, screen, presence: presenceOf(view) }
  }
  async function end(view: ShellView) {
    await rig.owner.client.closeShell({ params: { shellId: view.id } })
    await view.finished()
  }
  const audited = async (shellId: string, action: string) => {
    const { items } = await rig.owner.client.listOrgAudit({ params: { orgId: rig.org.id }, query: { subject: shellId, action } })
    return items.map(({ actorId }) => actorId)
  }

  test('is told to everybody in it, each person once, and stands on record', async () => {
    const { view, presence } = await open()
    const { items: live } = await reader.client.listOrgShells({ params: { orgId: rig.org.id }, query: { live: true } })
    expect(live).toMatchObject([{ id: view.id, userId: operator.id, hostId: rig.host.id, state: 'open' }])
    const first = watch(reader, view.id)
    const second = watch(reader, view.id)
    const both = await presence.until(({ viewers }) => viewers.length === 2)
    expect(both).toMatchObject({ input: 'open', mayModerate: false })
    expect(both.viewers).toEqual(
      expect.arrayContaining([
        { userId: operator.id, role: 'opener' },
        { userId: reader.id, role: 'watcher' },
      ]),
    )
    await first.presence.until(({ viewers, mayModerate }) => viewers.length === 2 && !mayModerate)
    await second.presence.until(() => true)
    first.view.close()
    second.view.close()
    await presence.until(({ viewers }) => viewers.length === 1)
    await until(async () => (await audited(view.id, 'shell.watch')).length > 0)
    expect(await audited(view.id, 'shell.watch')).toEqual([reader.id])
    await end(view)
  })

  test('lets owners lock what the opener types: it waits, none of it is lost, and others cannot', async () => {
    const { view, screen, presence } = await open()
    const owner = watch(rig.owner, view.id)
    const other = watch(reader, view.id)
    await owner.presence.until(({ mayModerate }) => mayModerate)
    await other.presence.until(({ viewers }) => viewers.length === 3)
    const refused: string[] = []
    other.view.on('refused', (what) => refused.push(what))
    view.on('refused', (what) => refused.push(what))
    other.view.lock(true)
    view.lock(true)
    await until(() => refused.length === 2)
    expect(presence.now()?.input).toBe('open')
    owner.view.lock(true)
    await presence.until(({ input }) => input === 'locked')
    view.write('echo wai""ted\n')
    expect((await exec('echo the host hears others')).stdout).toBe('the host hears others\n')
    expect(screen.text()).not.toContain('echo wai')
    owner.view.lock(false)
    await screen.until('waited')
    await until(async () => (await audited(view.id, 'shell.unlock')).length > 0)
    expect(await audited(view.id, 'shell.lock')).toEqual([rig.owner.id])
    owner.view.lock(true)
    await presence.until(({ input }) => input === 'locked')
    owner.view.close()
    // A lock is not lifted by leaving.
    await presence.until(({ viewers }) => viewers.length === 2)
    expect(presence.now()?.input).toBe('locked')
    await end(view)
    other.view.close()
  })

  test('may be asked for: input waits for a watcher and stops when the last one leaves, exactly once each byte', async () => {
    const oversight = await rig.owner.client.getOversight({ params: { orgId: rig.org.id } })
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, needsWatcher: true } })
    expect(await problemOf(exec('id'))).toMatchObject({ slug: 'forbidden', detail: expect.stringContaining('watcher') })
    const { view, screen, presence } = await open()
    await presence.until(({ input }) => input === 'unwatched')
    view.write('stty -echo; cat > typed; sha256sum < typed\n')
    // Another window of the opener is no watcher.
    const own = watch(operator, view.id)
    await own.presence.until(({ input }) => input === 'unwatched')
    expect(screen.text()).not.toContain('stty')
    let typed = ''
    for (let i = 0; i < 6; i++) {
      const watcher = watch(reader, view.id)
      await presence.until(({ input }) => input === 'open')
      for (let n = 0; n < 40; n++) {
        const line = `round ${i} line ${n} of what is typed\n`
        typed += line
        view.write(line)
        // The watcher leaves while lines are on their way.
        if (n === 20) watcher.view.close()
      }
      await presence.until(({ input }) => input === 'unwatched')
    }
    const last = watch(reader, view.id)
    await view.delivered()
    view.write('\x04')
    await screen.until(createHash('sha256').update(typed).digest('hex'))
    last.view.close()
    own.view.close()
    await presence.until(({ input }) => input === 'unwatched')
    await end(view)
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: oversight })
  }, 60_000)

  test('counts a watcher whose network was cut for half a minute at most, and one who only answers when asked all the while', async () => {
    const oversight = await rig.owner.client.getOversight({ params: { orgId: rig.org.id } })
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, needsWatcher: true } })
    const watchSilently = async (id: string) => {
      const raw = await openRawViewer(rig.edge.origin, id, await bearer(reader.client))
      raw.tell({ type: 'attach' })
      await raw.frame('hello')
      return { raw, since: Date.now() }
    }
    const [cut, asleep] = [await open(), await open()]
    const dead = await watchSilently(cut.view.id)
    // A page in the background: its timers hardly run, and what comes is answered.
    const sleepy = await watchSilently(asleep.view.id)
    let answered = 0
    const answering = setInterval(() => {
      const asked = sleepy.raw.frames.filter(({ type }) => type === 'probe').length
      for (; answered < asked; answered++) sleepy.raw.tell({ type: 'here' })
    }, 50)
    await Promise.all([cut, asleep].map(({ presence }) => presence.until(({ input }) => input === 'open')))
    const gates: string[] = []
    asleep.view.on('presence', ({ input }) => gates.push(input))
    const typing = setInterval(() => {
      cut.view.write('x')
      asleep.view.write('x')
    }, 500)
    await until(() => cut.presence.now()?.input === 'unwatched', 45_000)
    const lastedMs = Date.now() - dead.since
    expect(lastedMs).toBeGreaterThan(20_000)
    expect(lastedMs).toBeLessThan(32_000)
    await until(() => Date.now() - sleepy.since > 36_000, 20_000)
    clearInterval(typing)
    expect(gates).not.toContain('unwatched')
    expect(answered).toBeGreaterThan(1)
    dead.raw.tell({ type: 'here' })
    await cut.presence.until(({ input }) => input === 'open')
    await cut.view.delivered()
    clearInterval(answering)
    for (const { view } of [cut, asleep]) await end(view)
    for (const { raw } of [dead, sleepy]) raw.close()
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: oversight })
  }, 90_000)

  test('stops input also when the watcher loses their place', async () => {
    const oversight = await rig.owner.client.getOversight({ params: { orgId: rig.org.id } })
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, needsWatcher: true } })
    const { view, presence } = await open()
    const guest = await rig.member('reader')
    watch(guest, view.id)
    await presence.until(({ input }) => input === 'open')
    await rig.owner.client.removeOrgMember({ params: { orgId: rig.org.id, userId: guest.id } })
    await presence.until(({ input }) => input === 'unwatched')
    await end(view)
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: oversight })
  })
})
