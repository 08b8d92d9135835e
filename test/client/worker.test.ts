import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, createClient, memoryTokens, type Room } from '../../src/client/client.ts'
import { type Edge, ORIGIN, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { startLine } from './line.ts'
import { soon } from './service.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const slugOf = (call: Promise<unknown>) =>
  call.then(
    () => 'fine',
    (error: { slug?: string; name: string }) => error.slug ?? error.name,
  )

/** Another client of the same device over another way. */
async function signedInAt(origin: string, user: TestUser): Promise<Client> {
  const client = createClient({ origin })
  await client.login({ body: { email: user.email, password: PASSWORD } })
  return client
}

/** A page of the service's own origin, with the cookie jar of its browser. */
function openPage() {
  const jar = new Map<string, string>()
  const paths: string[] = []
  const visit = async (url: URL, init: RequestInit): Promise<Response> => {
    paths.push(url.pathname)
    const headers = new Headers(init.headers)
    headers.set('origin', ORIGIN)
    headers.set('cookie', [...jar].map((pair) => pair.join('=')).join('; '))
    const answer = await fetch(url, { ...init, headers })
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (cookie.includes('Max-Age=0')) jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }
  return { jar, paths, open: () => createClient({ origin: edge.origin, mode: 'cookie', fetch: visit }) }
}

describe('cookie mode', () => {
  const refreshesOf = (paths: readonly string[]) => paths.filter((path) => path === '/v1/auth/refresh').length

  test('keeps every secret from the page, and a reload goes on without signing in', async () => {
    const user = await edge.signUp('cookies')
    const page = openPage()
    const tokens = await page.open().login({ body: { email: user.email, password: PASSWORD } })
    expect(Object.keys(tokens).toSorted()).toEqual(['expiresAt', 'sessionExpiresAt', 'sessionId', 'userId'])
    const reloaded = page.open()
    expect(await reloaded.accessToken()).toBeUndefined()
    expect(await reloaded.getMe()).toMatchObject({ id: user.id })
    page.jar.delete('__Host-parvis-access')
    expect(await Promise.all(Array.from({ length: 20 }, () => reloaded.getMe()))).toHaveLength(20)
    expect(refreshesOf(page.paths)).toBe(1)
  })

  test('opens rooms by ticket', async () => {
    const user = await edge.signUp('ticketed')
    const page = openPage()
    const client = page.open()
    await client.login({ body: { email: user.email, password: PASSWORD } })
    const { id } = await client.createRoom({ body: { name: 'plans' } })
    const room = await client.rooms.join(id)
    room.doc.getText('text').insert(0, 'by ticket')
    await room.saved()
    expect(page.paths).toContain(`/v1/rooms/${id}/tickets`)
    client.close()
  })

  test('signs out by dropping the cookies; a stranger stays one', async () => {
    const user = await edge.signUp('goodbye')
    const page = openPage()
    const client = page.open()
    const causes: string[] = []
    client.on('signedOut', ({ cause }) => causes.push(cause))
    await client.login({ body: { email: user.email, password: PASSWORD } })
    await client.logout()
    expect([...page.jar.keys()]).toEqual(['__Host-parvis-device'])
    expect(await slugOf(client.getMe())).toBe('unauthenticated')
    expect(await slugOf(client.logout())).toBe('fine')
    expect(causes).toEqual(['logout'])
  })

  test('notices a session that ended elsewhere', async () => {
    const user = await edge.signUp('elsewhere')
    const page = openPage()
    const client = page.open()
    const causes: string[] = []
    client.on('signedOut', ({ cause }) => causes.push(cause))
    await client.login({ body: { email: user.email, password: PASSWORD } })
    const cookies = new Map(page.jar)
    await page.open().logout()
    for (const [name, value] of cookies) page.jar.set(name, value)
    expect(await slugOf(client.refresh())).toBe('session-ended')
    expect(causes).toEqual(['session-ended'])
  })
})

describe('the service', () => {
  test('gives 50 calls whose token it refuses one refresh', async () => {
    const user = await edge.signUp('fifty')
    const store = memoryTokens()
    let refreshes = 0
    const client = createClient({
      origin: edge.origin,
      tokens: store,
      fetch: (url, init) => {
        if (url.pathname === '/v1/auth/refresh') refreshes++
        return fetch(url, init)
      },
    })
    await client.login({ body: { email: user.email, password: PASSWORD } })
    const tokens = (await store.read())!
    await store.write({ ...tokens, accessToken: `${tokens.accessToken?.slice(0, -8)}AAAAAAAA` })
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.getMe()))
    expect(new Set(answers.map((me) => me.id))).toEqual(new Set([user.id]))
    expect(refreshes).toBe(1)
  })

  test('converges with a client whose answer was lost', async () => {
    const user = await edge.signUp('lost')
    let lost = 0
    const client = createClient({
      origin: edge.origin,
      fetch: async (url, init) => {
        const answer = await fetch(url, init)
        if (url.pathname === '/v1/auth/refresh' && lost++ < 2) throw new TypeError('the line broke')
        return answer
      },
    })
    const before = await client.login({ body: { email: user.email, password: PASSWORD } })
    const after = await client.refresh()
    expect(lost).toBe(3)
    expect(after.sessionId).toBe(before.sessionId)
    expect(await slugOf(client.getMe())).toBe('fine')
    expect(await slugOf(client.refresh())).toBe('fine')
  })

  test('ends the session of a stolen token, which signs out once', async () => {
    const user = await edge.signUp('stolen')
    const store = memoryTokens()
    const client = createClient({ origin: edge.origin, tokens: store })
    const causes: string[] = []
    client.on('signedOut', ({ cause }) => causes.push(cause))
    await client.login({ body: { email: user.email, password: PASSWORD } })
    const thief = createClient({ origin: edge.origin, tokens: memoryTokens(await store.read()) })
    await thief.refresh()
    await thief.refresh()
    expect(await Promise.all([slugOf(client.refresh()), slugOf(client.refresh())])).toEqual(['refresh-reused', 'refresh-reused'])
    expect(causes).toEqual(['refresh-reused'])
    expect(await slugOf(thief.refresh())).toBe('session-ended')
  })

  test('is spoken to in problems: faults by pointer, a trace that its log knows', async () => {
    const refused = await edge
      .client()
      .register({ body: { email: 'not an address', password: 'short' } })
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ slug: 'invalid-request', extras: { traceId: expect.stringMatching(/^[0-9a-f]{32}$/) } })
    const { errors, traceId } = (refused as { extras: { errors: { pointer: string }[]; traceId: string } }).extras
    expect(errors.map((e) => e.pointer).toSorted()).toEqual(['#/body/email', '#/body/password'])
    expect(edge.logs().some((line) => line['traceId'] === traceId)).toBe(true)
  })

  test('answers every read operation as its contract says', async () => {
    const { client, id } = await edge.signUp('reader')
    const { id: roomId } = await client.createRoom({ body: { name: 'plans' } })
    expect(await client.getSession()).toMatchObject({ userId: id })
    expect((await client.listRooms({ query: { limit: 1 } })).items).toHaveLength(1)
    expect((await client.listRoomMembers({ params: { roomId } })).items).toMatchObject([{ userId: id, role: 'owner' }])
    expect((await client.getJwks()).keys.length).toBeGreaterThan(0)
    expect((await client.getReady()).dependencies['d1']).toMatchObject({ ok: true })
  })
})

describe('a room', () => {
  const text = (room: Room) => room.doc.getText('text')

  test('keeps what was saved, and shows it to who comes later', async () => {
    const { client } = await edge.signUp('writer')
    const { id } = await client.createRoom({ body: { name: 'plans' } })
    const room = await client.rooms.join(id)
    text(room).insert(0, 'kept')
    await room.saved()
    room.close()
    const again = await client.rooms.join(id, { ticket: true })
    await again.whenSynced()
    expect(text(again).toString()).toBe('kept')
    client.close()
  })

  test('takes in a document larger than a frame, with what is written while it is brought and pasted later', {
    timeout: 60_000,
  }, async () => {
    const { client } = await edge.signUp('importer')
    const { id } = await client.createRoom({ body: { name: 'imported' } })
    const room = await client.rooms.join(id)
    await room.whenSynced()
    room.close()
    for (let i = 0; i < 30; i++) text(room).insert(text(room).length, `${i} ${'imported '.repeat(12_000)}`)
    const back = await client.rooms.join(id, { doc: room.doc })
    back.on('role', () => text(back).insert(0, 'meanwhile '))
    await back.saved()
    text(back).insert(0, 'pasted '.repeat(300_000))
    await back.saved()
    const reader = await client.rooms.join(id)
    await reader.whenSynced()
    expect(text(reader).toString()).toBe(text(back).toString())
    expect(text(reader).length).toBeGreaterThan(5_000_000)
    client.close()
  })

  test('merges what several wrote through a line that is cut again and again', { timeout: 60_000 }, async () => {
    const line = await startLine(edge.origin)
    const user = await edge.signUp('cut')
    const client = await signedInAt(line.origin, user)
    const { id } = await client.createRoom({ body: { name: 'plans' } })
    const rooms = await Promise.all([1, 2, 3].map(() => client.rooms.join(id)))
    const words = Array.from({ length: 90 }, (_, i) => i)
    for (const i of words) {
      const own = text(rooms[i % 3]!)
      own.insert(own.length, `${i};`)
      if (i % 18 === 17) {
        line.state.isDown = i % 36 === 35
        line.cut()
        await new Promise((resolve) => setTimeout(resolve, 100))
        line.state.isDown = false
      }
    }
    await Promise.all(rooms.map((room) => room.saved()))
    const reader = await user.client.rooms.join(id)
    await reader.whenSynced()
    const written = text(reader).toString().split(';').filter(Boolean).map(Number)
    expect(written.toSorted((a, b) => a - b)).toEqual(words)
    await soon(() => rooms.map((room) => text(room).toString())).toEqual(Array(3).fill(text(reader).toString()))
    for (const each of [client, user.client]) each.close()
    line.stop()
  })

  test('tells a viewer that changes stay here, and takes them once the seat allows it', async () => {
    const owner = await edge.signUp('owner')
    const guest = await edge.signUp('guest')
    const { id: roomId } = await owner.client.createRoom({ body: { name: 'plans' } })
    const seat = (role: 'viewer' | 'editor') => owner.client.putRoomMember({ params: { roomId, userId: guest.id }, body: { role } })
    await seat('viewer')
    const room = await guest.client.rooms.join(roomId)
    await room.whenSynced()
    text(room).insert(0, 'mine')
    expect(await slugOf(room.saved())).toBe('forbidden')
    const stored = new Promise((resolve) => room.on('saved', resolve))
    await seat('editor')
    await stored
    const watching = await owner.client.rooms.join(roomId)
    await watching.whenSynced()
    expect(text(watching).toString()).toBe('mine')
    for (const { client } of [owner, guest]) client.close()
  })

  test('shows who is here, through reconnects', async () => {
    const line = await startLine(edge.origin)
    const user = await edge.signUp('present')
    const client = await signedInAt(line.origin, user)
    const { id } = await client.createRoom({ body: { name: 'plans' } })
    const [near, far] = await Promise.all([client.rooms.join(id), user.client.rooms.join(id)])
    near.awareness.setLocalState({ name: 'Ada' })
    const seen = () => far.awareness.getStates().get(near.doc.clientID)
    await soon(seen).toEqual({ name: 'Ada' })
    const left = new Promise<void>((resolve) => {
      far.awareness.on('change', ({ removed }: { removed: number[] }) => removed.includes(near.doc.clientID) && resolve())
    })
    line.cut()
    await left
    await soon(seen).toEqual({ name: 'Ada' })
    near.close()
    await soon(seen).toBeUndefined()
    for (const each of [client, user.client]) each.close()
    line.stop()
  })

  test('ends for who loses the seat, and for who never had one', async () => {
    const owner = await edge.signUp('host')
    const guest = await edge.signUp('leaving')
    const params = { roomId: (await owner.client.createRoom({ body: { name: 'plans' } })).id, userId: guest.id }
    expect(await slugOf((await guest.client.rooms.join(params.roomId)).whenSynced())).toBe('not-found')
    await owner.client.putRoomMember({ params, body: { role: 'editor' } })
    const room = await guest.client.rooms.join(params.roomId)
    await room.whenSynced()
    const ended = new Promise((resolve) => room.on('problem', resolve))
    await owner.client.removeRoomMember({ params })
    expect(await ended).toMatchObject({ slug: 'not-found' })
    expect(room.status).toBe('closed')
  })

  test('takes a change as large as a frame, and ends with a larger one that is a single value', async () => {
    const { client } = await edge.signUp('large')
    const { id } = await client.createRoom({ body: { name: 'plans' } })
    const room = await client.rooms.join(id)
    await room.whenSynced()
    text(room).insert(0, 'x'.repeat(1_000_000))
    await room.saved()
    room.doc.getMap('photos').set('large', new Uint8Array(1_100_000))
    expect(await slugOf(room.saved())).toBe('payload-too-large')
  })
})
