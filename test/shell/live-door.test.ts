import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import WebSocket from 'ws'
import { decodeViewChunk, encodeViewChunk } from '../../src/contract/viewer.ts'
import type { TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { type Rig, screenOf, startRig, until } from './rig.ts'

describeWith('sshd', 'the door where frames say who comes and what they watch', () => {
  let rig: Rig
  let reader: TestUser
  beforeAll(async () => {
    rig = await startRig()
    reader = await rig.member('reader')
  })
  afterAll(() => rig.stop())

  async function connect(headers: Record<string, string> = {}) {
    const socket = new WebSocket(`${rig.edge.origin.replace('http', 'ws')}/v1/live/shells`, { headers })
    const frames: Record<string, unknown>[] = []
    const typed = new Map<number, string>()
    const send = (at: number, line: string) => socket.send(encodeViewChunk({ offset: at, bytes: new TextEncoder().encode(line) }))
    let text = ''
    let offset = 0
    let closed: { readonly code: number; readonly reason: string } | undefined
    socket.on('close', (code, reason) => {
      closed = { code, reason: reason.toString() }
    })
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (!isBinary) {
        const frame = JSON.parse(data.toString())
        frames.push(frame)
        // What came before the role was read is asked for again.
        if (frame.type === 'resend') for (const [at, line] of typed) if (at >= frame.inputOffset) send(at, line)
        return
      }
      const chunk = decodeViewChunk(new Uint8Array(data).buffer)
      if (!chunk) throw new Error('no chunk')
      expect(chunk.offset).toBe(offset)
      offset += chunk.bytes.length
      text += new TextDecoder().decode(chunk.bytes)
    })
    await once(socket, 'open')
    const say = (frame: object | string) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
    return {
      say,
      type(at: number, line: string) {
        typed.set(at, line)
        send(at, line)
      },
      frame: (type: string, nth = 1) => until(() => frames.filter((frame) => frame['type'] === type)[nth - 1]),
      sees: (part: string) => until(() => text.includes(part)),
      closed: () => until(() => closed),
      close: () => socket.close(),
      authenticate: async (user: TestUser) => say({ type: 'authenticate', token: await user.client.accessToken() }),
    }
  }
  const openShell = () => rig.owner.client.openShell({ body: { hostId: rig.host.id } })

  test('a shell that will end by itself says so in time, here and to its viewers: typing postpones the end for want of that, and nothing the other', async () => {
    const { client } = rig.owner
    const limits = (idle: number | null, life: number | null) =>
      rig.edge.db
        .prepare('UPDATE hosts SET idle_timeout_seconds = ?, max_duration_seconds = ? WHERE id = ?')
        .bind(idle, life, rig.host.id)
        .run()
    await limits(8, null)
    const screen = screenOf()
    const view = await client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
    const told: object[] = []
    view.on('ending', (ending) => told.push(ending))
    await screen.until('$ ')
    const door = await connect()
    await door.authenticate(reader)
    door.say({ type: 'subscribe_session', sessionId: view.id })
    await until(() => told.length === 1)
    expect(told[0]).toEqual({ cause: 'idle', seconds: expect.closeTo(4, -0.5) })
    expect(await door.frame('ending')).toMatchObject({ cause: 'idle' })
    view.write('echo st""ill\n')
    expect(await door.frame('ending', 2)).toEqual({ type: 'ending', cause: null, seconds: null })
    await until(() => told.length === 2)
    expect(told[1]).toEqual({ cause: null, seconds: null })
    await screen.until('still')
    expect(await view.finished()).toMatchObject({ reason: expect.stringContaining('Nobody typed') })
    expect(told.slice(2)).toEqual([{ cause: 'idle', seconds: expect.any(Number) }])
    expect(await door.frame('ending', 3)).toMatchObject({ cause: 'idle' })
    await limits(null, 6)
    const mortal = await client.shells.open({ body: { hostId: rig.host.id } }, { output: () => undefined })
    const last: object[] = []
    mortal.on('ending', (ending) => last.push(ending))
    const typing = setInterval(() => mortal.write('true\n'), 200)
    expect(await mortal.finished()).toMatchObject({ reason: expect.stringContaining('It lived as long as its host') })
    clearInterval(typing)
    expect(last).toEqual([{ cause: 'expired', seconds: expect.closeTo(3, -0.5) }])
    await limits(null, null)
  }, 60_000)

  test('takes authenticate, subscribe_session and ping, all sent at once, and then carries the terminal both ways', async () => {
    const shell = await openShell()
    const live = await connect()
    live.say({ type: 'ping' })
    await live.authenticate(rig.owner)
    live.say({ type: 'subscribe_session', sessionId: shell.id, clientId: 'a-plain-websocket' })
    live.type(0, 'echo "sum: $((40 + 2))"\n')
    live.say({ type: 'ping' })
    expect(await live.frame('authenticated')).toEqual({ type: 'authenticated', userId: rig.owner.id, expiresAt: expect.any(String) })
    expect(await live.frame('hello')).toMatchObject({ role: 'opener', state: 'open', inputOffset: 0 })
    await live.sees('sum: 42')
    expect(await live.frame('pong', 2)).toEqual({ type: 'pong' })
    const second = await connect()
    await second.authenticate(reader)
    second.say({ type: 'subscribe_session', sessionId: shell.id, since: 0 })
    expect(await second.frame('hello')).toMatchObject({ role: 'watcher' })
    second.type(0, 'echo intruder\n')
    expect(await second.frame('refused')).toEqual({ type: 'refused', what: 'input' })
    live.type(24, 'exit 3\n')
    expect(await live.frame('exit')).toMatchObject({ exitCode: 3 })
    expect(await live.closed()).toEqual({ code: 1000, reason: 'closed' })
    expect(await second.closed()).toEqual({ code: 1000, reason: 'closed' })
  })

  test('goes on with the output after the offset that was seen', async () => {
    const shell = await openShell()
    const first = await connect()
    await first.authenticate(rig.owner)
    first.say({ type: 'subscribe_session', sessionId: shell.id, clientId: 'a-resuming-client' })
    first.type(0, 'echo fir""st\n')
    await first.sees('first')
    first.close()
    await first.closed()
    const again = await connect()
    await again.authenticate(rig.owner)
    again.say({ type: 'subscribe_session', sessionId: shell.id, clientId: 'a-resuming-client' })
    const hello = await again.frame('hello')
    expect(hello).toMatchObject({ inputOffset: 13 })
    await again.sees('first')
    await rig.owner.client.closeShell({ params: { shellId: shell.id } })
    await again.closed()
  })

  test('tells whoever is signed in what they may not have, and lets them try again', async () => {
    const shell = await openShell()
    const stranger = await rig.edge.signUp('stranger')
    const live = await connect()
    await live.authenticate(stranger)
    for (const sessionId of [shell.id, shell.id.replace(/.$/, shell.id.endsWith('0') ? '1' : '0')])
      live.say({ type: 'subscribe_session', sessionId })
    expect(await live.frame('error', 2)).toMatchObject({ problem: 'not-found' })
    await live.authenticate(rig.owner)
    expect(await live.frame('error', 3)).toMatchObject({ problem: 'conflict' })
    live.close()
    await rig.owner.client.closeShell({ params: { shellId: shell.id } })
  })

  test('closes for a wrong token, for anything before a token, and for what is no frame', async () => {
    const said: readonly (readonly [string | object, number])[] = [
      [{ type: 'authenticate', token: 'a.b.c' }, 4401],
      [{ type: 'subscribe_session', sessionId: 'shl_00000000000000000000000000' }, 4401],
      ['attach', 4401],
      ['x'.repeat(70_000), 4413],
    ]
    for (const [frame, code] of said) {
      const live = await connect()
      live.say(frame)
      expect(await live.closed()).toMatchObject({ code })
    }
    const live = await connect()
    await live.authenticate(rig.owner)
    live.say({ type: 'resize', columns: 80, rows: 24 })
    expect(await live.closed()).toEqual({ code: 4400, reason: 'invalid-request' })
  })

  test('ends with the session of whoever watches, and opens to no foreign page', async () => {
    const shell = await openShell()
    const live = await connect()
    await live.authenticate(reader)
    live.say({ type: 'subscribe_session', sessionId: shell.id })
    await live.frame('hello')
    await reader.client.logout()
    expect(await live.closed()).toEqual({ code: 4401, reason: 'session-ended' })
    await rig.owner.client.closeShell({ params: { shellId: shell.id } })
    const url = `${rig.edge.origin.replace('http', 'ws')}/v1/live/shells`
    const foreign = new WebSocket(url, { headers: { origin: 'https://evil.example' } })
    foreign.on('error', () => undefined)
    const [, response] = (await once(foreign, 'unexpected-response')) as [unknown, { statusCode: number }]
    expect(response.statusCode).toBe(403)
    expect((await rig.edge.request('/v1/live/shells')).status).toBe(426)
  })
})
