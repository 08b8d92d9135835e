import { afterAll, beforeAll, expect, test } from 'vitest'
import { VIEW_FRAME_CHARS_MAX, VIEW_INPUT_BYTES_MAX, VIEW_WINDOW_BYTES } from '../../src/contract/viewer.ts'
import { PASSWORD, type TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { bearer, openRawViewer } from './raw-viewer.ts'
import { isGone, problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

describeWith('sshd', 'an interactive shell', () => {
  let rig: Rig
  let operator: TestUser
  let reader: TestUser
  let stranger: TestUser
  beforeAll(async () => {
    rig = await startRig()
    operator = await rig.member('operator')
    reader = await rig.member('reader')
    stranger = await rig.edge.signUp('stranger')
  })
  afterAll(() => rig.stop())

  const open = async (user: TestUser = rig.owner, size: { readonly columns?: number; readonly rows?: number } = {}) => {
    const screen = screenOf()
    const view = await user.client.shells.open({ body: { hostId: rig.host.id, ...size } }, { output: screen.output })
    await screen.until('$ ')
    return { view, screen }
  }
  const raw = async (user: TestUser, shellId: string) => openRawViewer(rig.edge.origin, shellId, await bearer(user.client))

  test('echoes what is typed, runs it, and ends with its exit code', async () => {
    const { view, screen } = await open()
    expect(view.role).toBe('opener')
    view.write('echo "sum: $((40 + 2))"\n')
    await screen.until('sum: 42')
    expect(screen.text()).toContain('echo "sum: $((40 + 2))"')
    await view.delivered()
    view.write('exit 7\n')
    expect(await view.finished()).toEqual({
      state: 'closed',
      exitCode: 7,
      signal: null,
      reason: 'The remote program ended with exit code 7.',
    })
    await until(async () => (await rig.owner.client.getShell({ params: { shellId: view.id } })).state === 'closed')
  })

  test('drops a viewer that floods it with messages, and nobody else', async () => {
    const { view, screen } = await open()
    const flooder = await raw(reader, view.id)
    flooder.tell({ type: 'attach' })
    await flooder.frame('hello')
    for (let n = 0; n < 10_000; n++) flooder.tell({ type: 'ack', offset: 0 })
    expect(await flooder.closed()).toEqual({ code: 4429, reason: 'rate-limited' })
    view.write('echo st""ill\n')
    await screen.until('still')
    view.write('exit\n')
    await view.finished()
  })

  test('takes the size it is given and every new one, and tells the others', async () => {
    const { view, screen } = await open(rig.owner, { columns: 101, rows: 33 })
    const watcher = await raw(reader, view.id)
    watcher.tell({ type: 'attach' })
    expect(await watcher.frame('hello')).toMatchObject({ role: 'watcher', columns: 101, rows: 33, state: 'open' })
    view.write('stty size\n')
    await screen.until('33 101')
    view.resize(132, 50)
    expect(await watcher.frame('resized')).toMatchObject({ columns: 132, rows: 50 })
    view.write('stty size\n')
    await screen.until('50 132')
    view.write('exit\n')
    await view.finished()
  })

  test('shows every viewer the same; only its opener types, whatever the others are, and who tries is on record', async () => {
    const { view, screen } = await open(operator)
    const watchers = await Promise.all([rig.owner, reader].map((user) => raw(user, view.id)))
    for (const watcher of watchers) {
      watcher.tell({ type: 'attach' })
      expect(await watcher.frame('hello')).toMatchObject({ role: 'watcher' })
      watcher.type(0, 'echo intr""uder\n')
      watcher.type(0, 'echo intr""uder\n')
      watcher.tell({ type: 'resize', columns: 10, rows: 10 })
      expect(await watcher.frame('refused')).toEqual({ type: 'refused', what: 'input' })
    }
    view.write('echo to eve""ryone; stty size\n')
    await screen.until('24 80')
    for (const watcher of watchers) {
      await watcher.until(() => watcher.text().includes('24 80'))
      expect(watcher.text()).toContain('to everyone')
      expect(watcher.frames.filter((frame) => frame.type === 'refused')).toHaveLength(1)
    }
    expect(screen.text()).not.toContain('intruder')
    const refused = await until(async () => {
      const { items } = await rig.owner.client.listOrgAudit({
        params: { orgId: rig.org.id },
        query: { subject: view.id, action: 'shell.refuse' },
      })
      return items.length === 2 && items
    })
    expect(refused.map(({ actorId, cause }) => `${actorId} ${cause}`).toSorted()).toEqual(
      [rig.owner.id, reader.id].map((id) => `${id} input`).toSorted(),
    )
    view.write('exit\n')
    await view.finished()
    for (const watcher of watchers) {
      expect(await watcher.frame('exit')).toMatchObject({ exitCode: 0 })
      expect(await watcher.closed()).toEqual({ code: 1000, reason: 'closed' })
    }
  })

  test('is not there for strangers, by any door', async () => {
    const { view } = await open()
    const params = { shellId: view.id }
    const { getShell, closeShell, createShellTicket } = stranger.client
    for (const call of [getShell, closeShell, createShellTicket])
      expect(await problemOf(call({ params }))).toMatchObject({ slug: 'not-found' })
    expect((await raw(stranger, view.id)).status()).toBe(404)
    expect((await openRawViewer(rig.edge.origin, view.id, ['parvis'])).status()).toBe(403)
    const foreign = await openRawViewer(rig.edge.origin, view.id, await bearer(rig.owner.client), { origin: 'https://evil.example' })
    expect(foreign.status()).toBe(403)
    expect((await stranger.client.listShells()).items).toEqual([])
    await view.end()
  })

  test('opens by a ticket once', async () => {
    const { view } = await open()
    const { ticket } = await rig.owner.client.createShellTicket({ params: { shellId: view.id } })
    const first = await openRawViewer(rig.edge.origin, view.id, ['parvis', `ticket.${ticket}`])
    first.tell({ type: 'attach' })
    expect(await first.frame('hello')).toMatchObject({ role: 'opener' })
    expect((await openRawViewer(rig.edge.origin, view.id, ['parvis', `ticket.${ticket}`])).status()).toBe(401)
    await view.end()
  })

  test('is ended by its opener or an owner, not by others, with its remote process', async () => {
    const { view, screen } = await open(operator)
    view.write('echo pid=$$.\n')
    const pid = Number(/pid=(\d+)\./.exec(await screen.until((text) => /pid=\d+\./.test(text)))?.[1])
    const other = await rig.member('operator')
    expect(await problemOf(other.client.closeShell({ params: { shellId: view.id } }))).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(reader.client.closeShell({ params: { shellId: view.id } }))).toMatchObject({ slug: 'forbidden' })
    await rig.owner.client.closeShell({ params: { shellId: view.id } })
    expect(await view.finished()).toMatchObject({ state: 'closed', reason: 'An owner of the organisation closed it.' })
    await until(() => isGone(pid))
    const shell = await operator.client.getShell({ params: { shellId: view.id } })
    expect(shell).toMatchObject({ state: 'closed', reason: 'An owner of the organisation closed it.', closedAt: expect.any(String) })
    await rig.owner.client.closeShell({ params: { shellId: view.id } })
    const { results } = await rig.edge.db
      .prepare("SELECT actor_id FROM audit_entries WHERE action = 'shell.close' AND subject = ?")
      .bind(view.id)
      .all()
    expect(results).toEqual([{ actor_id: rig.owner.id }])
  })

  test('keeps its last output for those who come after the end', async () => {
    const { view, screen } = await open()
    view.write('echo last wo""rds; exit 3\n')
    await view.finished()
    const late = await raw(reader, view.id)
    late.tell({ type: 'attach' })
    expect(await late.frame('exit')).toEqual({ type: 'exit', exitCode: 3, signal: null })
    expect(late.text()).toContain('last words')
    expect(late.text()).toBe(screen.text())
    expect(await late.closed()).toEqual({ code: 1000, reason: 'closed' })
  })

  test('takes each keystroke of a named input once, whatever is sent twice, and asks for what is missing', async () => {
    const { view } = await open()
    const clientId = 'a'.repeat(16)
    const one = await raw(rig.owner, view.id)
    one.tell({ type: 'attach', clientId })
    expect(await one.frame('hello')).toMatchObject({ role: 'opener', inputOffset: 0 })
    one.type(0, 'echo o""ne')
    one.type(0, 'echo o""ne')
    const rest = ' o""ne; echo t""wo\n'
    const endOffset = 4 + rest.length
    one.type(4, rest)
    await one.until(() => one.text().includes('two'))
    expect(await one.until(() => one.frames.findLast((f) => f.type === 'accepted' && f.inputOffset === endOffset))).toBeTruthy()
    one.type(100, 'lost')
    expect(await one.frame('resend')).toEqual({ type: 'resend', inputOffset: endOffset })
    one.close()
    const two = await raw(rig.owner, view.id)
    two.tell({ type: 'attach', clientId, since: one.receivedTo() })
    expect(await two.frame('hello')).toMatchObject({ inputOffset: endOffset })
    const other = await raw(rig.owner, view.id)
    other.tell({ type: 'attach', clientId: 'b'.repeat(16) })
    expect(await other.frame('hello')).toMatchObject({ inputOffset: 0 })
    two.type(endOffset, 'echo fr')
    await two.until(() => two.text().includes('fr'))
    other.type(0, 'om b""oth\n')
    await two.until(() => two.text().includes('from both'))
    await view.end()
  })

  test('a viewer that acknowledges nothing gets one window; a watcher that lags gets a gap and the tail, and slows nobody', async () => {
    const { view, screen } = await open()
    const watcher = await raw(reader, view.id)
    watcher.tell({ type: 'attach' })
    await watcher.frame('hello')
    const from = screen.bytes()
    view.write("stty -echo; head -c 6000000 /dev/zero | tr '\\\\0' x; echo; echo do''ne\n")
    await screen.until('done\r\n', 25_000)
    expect(screen.bytes() - from).toBeGreaterThan(6_000_000)
    expect(watcher.receivedTo()).toBe(VIEW_WINDOW_BYTES)
    watcher.tell({ type: 'ack', offset: watcher.receivedTo() })
    const gap = await watcher.frame('gap')
    expect(gap.from).toBe(VIEW_WINDOW_BYTES)
    while (!watcher.tail().includes('done\r\n')) {
      const at = watcher.receivedTo()
      watcher.tell({ type: 'ack', offset: at })
      await watcher.until(() => watcher.receivedTo() > at)
    }
    await view.end()
  })

  test('an opener who stops reading stops the remote program, and nothing is lost when they go on', async () => {
    const { view } = await open()
    view.close()
    const viewer = await raw(rig.owner, view.id)
    viewer.tell({ type: 'attach' })
    await viewer.frame('hello')
    viewer.type(0, 'stty -echo; printf "BE""GIN\\n"; seq 1 2000000 | tee >(wc -c > counted) ; echo do""ne\n')
    await viewer.until(() => viewer.receivedTo() >= VIEW_WINDOW_BYTES, 20_000)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(viewer.receivedTo()).toBe(VIEW_WINDOW_BYTES)
    const { stdout } = await rig.owner.client.execCommand({
      params: { hostId: rig.host.id },
      body: { command: 'test -s counted || echo waits' },
    })
    expect(stdout).toBe('waits\n')
    while (!viewer.tail().includes('done\r\n')) {
      const at = viewer.receivedTo()
      viewer.tell({ type: 'ack', offset: at })
      await viewer.until(() => viewer.receivedTo() > at || viewer.tail().includes('done\r\n'))
    }
    expect(viewer.frames.filter((frame) => frame.type === 'gap')).toEqual([])
    const numbers = viewer
      .text()
      .slice(viewer.text().indexOf('BEGIN\r\n'))
      .split('\r\n')
      .filter((line) => /^\d+$/.test(line))
    expect(numbers.length).toBe(2_000_000)
    expect(numbers.every((line, i) => Number(line) === i + 1)).toBe(true)
    await view.end()
  })

  test('whoever breaks the protocol loses their socket, and nobody else notices', async () => {
    const { view, screen } = await open()
    const broken: [string, (viewer: Awaited<ReturnType<typeof raw>>) => void, number][] = [
      ['no JSON', (v) => v.say('{'), 4400],
      ['a frame before attach', (v) => v.tell({ type: 'ack', offset: 0 }), 4400],
      ['an unknown frame', (v) => v.say('{"type":"kill"}'), 4400],
      ['bytes before attach', (v) => v.type(0, 'x'), 4400],
      ['a long frame', (v) => v.say(JSON.stringify({ type: 'attach', clientId: 'c'.repeat(VIEW_FRAME_CHARS_MAX + 1) })), 4413],
      ['attaching twice', (v) => [v.tell({ type: 'attach' }), v.tell({ type: 'attach' })], 4400],
      ['an acknowledgement of the future', (v) => [v.tell({ type: 'attach' }), v.tell({ type: 'ack', offset: 1e12 })], 4400],
      ['an offset beyond 2^53', (v) => [v.tell({ type: 'attach' }), v.bytes(new Uint8Array(9).fill(255))], 4400],
      ['a message without bytes', (v) => [v.tell({ type: 'attach' }), v.bytes(new Uint8Array(3))], 4400],
      ['a message too large', (v) => [v.tell({ type: 'attach' }), v.bytes(new Uint8Array(VIEW_INPUT_BYTES_MAX + 9))], 4413],
    ]
    for (const [name, act, code] of broken) {
      const viewer = await raw(rig.owner, view.id)
      act(viewer)
      expect([name, (await viewer.closed()).code]).toEqual([name, code])
    }
    view.write('echo al""ive\n')
    await screen.until('alive')
    await view.end()
  })

  test('input beyond the window costs the socket, not the shell', async () => {
    const { view } = await open()
    view.write('sleep 1000\n')
    await view.delivered()
    const viewer = await raw(rig.owner, view.id)
    viewer.tell({ type: 'attach' })
    await viewer.frame('hello')
    for (let i = 0; i < 300; i++) viewer.type(i * 16_000, 'y'.repeat(16_000))
    expect(await viewer.closed()).toEqual({ code: 4413, reason: 'payload-too-large' })
    expect(await rig.owner.client.getShell({ params: { shellId: view.id } })).toMatchObject({ state: 'open' })
    await view.end()
  })

  test('a member who is removed stops seeing at once; a removed opener loses the shell', async () => {
    const gone = await rig.member('reader')
    const { view } = await open()
    const viewer = await raw(gone, view.id)
    viewer.tell({ type: 'attach' })
    await viewer.frame('hello')
    await rig.owner.client.removeOrgMember({ params: { orgId: rig.org.id, userId: gone.id } })
    expect(await viewer.closed()).toEqual({ code: 4403, reason: 'forbidden' })
    expect((await raw(gone, view.id)).status()).toBe(404)
    await view.end()
    const leaver = await rig.member('operator')
    const left = await open(leaver)
    await rig.owner.client.putOrgMember({ params: { orgId: rig.org.id, userId: leaver.id }, body: { role: 'reader' } })
    expect(await left.view.finished()).toMatchObject({ state: 'closed', reason: 'Its opener may not use this host any more.' })
  })

  test('an ended session sees nothing from the next look on', async () => {
    const { view } = await open()
    const again = rig.edge.client()
    await again.login({ body: { email: reader.email, password: PASSWORD } })
    const viewer = await openRawViewer(rig.edge.origin, view.id, await bearer(again))
    viewer.tell({ type: 'attach' })
    await viewer.frame('hello')
    const kept = await bearer(again)
    await again.logout()
    expect((await openRawViewer(rig.edge.origin, view.id, kept)).status()).toBe(401)
    viewer.close()
    await view.end()
  })

  test('answers a ping without being woken', async () => {
    const { view } = await open()
    const viewer = await raw(reader, view.id)
    const pong = new Promise<string>((resolve) => viewer.socket.once('message', (data: Buffer) => resolve(data.toString())))
    viewer.say('ping')
    expect(await pong).toBe('pong')
    await view.end()
  })
})
