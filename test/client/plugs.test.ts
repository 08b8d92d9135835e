import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Room } from '../../src/client/client.ts'
import type { UserId } from '../../src/contract/identity.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import type { TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { openPages } from './pages.ts'
import { soon } from './service.ts'

const REACT = `
import { createElement as h, StrictMode, startTransition, useLayoutEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { createClient, localStorageTokens } from 'parvis/client'
import { useMessages, useNames, usePresence, useRoom } from 'parvis/react'

const client = createClient({ origin: location.origin, tokens: localStorageTokens() })
const counts = []
let torn = 0

function Count({ room, at }) {
  const { items } = useMessages(room)
  for (const until = performance.now() + 2; performance.now() < until; );
  useLayoutEffect(() => void (counts[at] = items.length))
  return null
}
function Crowd({ room }) {
  const { items } = useMessages(room)
  useLayoutEffect(() => void (torn += counts.some((count) => count !== items.length) ? 1 : 0))
  return Array.from({ length: 40 }, (_, at) => h(Count, { room, at, key: at }))
}
function Talk({ id }) {
  const { room, status, role, isSynced } = useRoom(client, id)
  const { items, pending, isCaughtUp } = useMessages(room)
  const { members } = usePresence(room)
  const nameOf = useNames(room)
  const [isCrowded, setCrowded] = useState(false)
  globalThis.room = room
  globalThis.crowd = () => startTransition(() => setCrowded(true))
  return h('main', null,
    h('output', { id: 'state' }, [status, role, isSynced, isCaughtUp].join()),
    h('ul', null, items.map(({ seq, text }) => h('li', { key: seq }, text))),
    h('output', { id: 'pending' }, pending.length),
    h('output', { id: 'members' }, members.map(({ userId }) => userId).toSorted().join()),
    h('output', { id: 'names' }, members.map(({ userId }) => nameOf(userId)).join('')),
    isCrowded ? h(Crowd, { room }) : null)
}
const root = createRoot(document.querySelector('#editor'))
globalThis.mount = (id) => root.render(h(StrictMode, null, h(Talk, { id })))
globalThis.unmount = () => root.render(null)
globalThis.torn = () => torn
mount(roomId)
`

const OFFLINE = `
import { createClient, localStorageTokens } from 'parvis/client'
import { joinOffline } from 'parvis/offline'
const client = createClient({ origin: location.origin, tokens: localStorageTokens() })
globalThis.room = await joinOffline(client, roomId)
globalThis.text = room.doc.getText('note')
`

interface Globals {
  readonly room: Room & { readonly forget: () => Promise<void> }
  readonly text: { toString(): string; insert(at: number, text: string): void; readonly length: number }
  readonly crowd: () => void
  readonly mount: (id?: string) => void
  readonly unmount: () => void
  readonly torn: () => number
}
const page = globalThis as unknown as Globals

describeWith('chromium', 'in a page', (executablePath) => {
  let pages: Awaited<ReturnType<typeof openPages>>
  let ada: TestUser
  let bob: TestUser
  beforeAll(async () => {
    pages = await openPages(executablePath)
    ;[ada, bob] = [await pages.edge.signUp('ada'), await pages.edge.signUp('bob')]
  })
  afterAll(() => pages.stop())

  async function openRoom(): Promise<RoomId> {
    const { id } = await bob.client.createRoom({ body: { name: 'plugs' } })
    await bob.client.putRoomMember({ params: { roomId: id, userId: ada.id as UserId }, body: { role: 'editor' } })
    return id
  }
  const joinsOf = (roomId: string, user: TestUser) =>
    pages.edge.logs().filter((line) => line['event'] === 'room.joined' && line['roomId'] === roomId && line['userId'] === user.id)

  test('components in React’s strict mode join once, agree on what they show, and leave when they go', { timeout: 60_000 }, async () => {
    const roomId = await openRoom()
    await bob.client.updateMe({ ifMatch: (await bob.client.getMe()).etag, body: { displayName: 'Bob' } })
    const room = await bob.client.rooms.join(roomId)
    await soon(() => room.messages.state.isCaughtUp).toBe(true)
    const { page: tab, said } = await pages.open(ada, REACT, { roomId })
    await soon(() => tab.textContent('#state')).toBe('open,editor,true,true')
    expect(joinsOf(roomId, ada)).toHaveLength(1)
    await soon(() => tab.textContent('#members')).toBe([ada.id, bob.id].toSorted().join())
    await soon(() => tab.textContent('#names')).toBe('Bob')
    await room.messages.post('from Node')
    await tab.evaluate(() => page.room.messages.post('from React').then(() => undefined))
    await soon(() => tab.locator('li').allTextContents()).toEqual(['from Node', 'from React'])
    expect(await tab.textContent('#pending')).toBe('0')
    await tab.evaluate(() => page.crowd())
    await Promise.all(Array.from({ length: 12 }, (_, i) => room.messages.post(`more ${i}`)))
    await soon(() => tab.locator('li').count()).toBe(14)
    expect(await tab.evaluate(() => page.torn())).toBe(0)
    await tab.evaluate(() => page.unmount())
    await soon(() => room.presence.state.members.map(({ userId }) => userId)).toEqual([bob.id])
    await tab.evaluate(() => page.mount())
    await soon(() => tab.textContent('#state')).toBe('connecting,,false,false')
    expect(said).toEqual([])
    room.close()
    await tab.context().close()
  })

  test('what is written offline survives a reload and is merged when the network is back', { timeout: 60_000 }, async () => {
    const roomId = await openRoom()
    const far = await bob.client.rooms.join(roomId)
    far.doc.getText('note').insert(0, 'before ')
    await far.saved()
    const { page: tab } = await pages.open(ada, OFFLINE, { roomId })
    await tab.waitForFunction(() => 'text' in globalThis)
    await soon(() => tab.evaluate(() => page.text.toString())).toBe('before ')
    pages.door.shut()
    await tab.evaluate(() => page.text.insert(page.text.length, 'offline '))
    far.doc.getText('note').insert(0, 'meanwhile ')
    await far.saved()
    await tab.reload()
    await tab.waitForFunction(() => 'text' in globalThis)
    expect(await tab.evaluate(() => [page.text.toString(), page.room.isSynced])).toEqual(['before offline ', false])
    await tab.evaluate(() => page.text.insert(page.text.length, 'reloaded '))
    pages.door.open()
    await soon(() => tab.evaluate(() => page.text.toString())).toBe('meanwhile before offline reloaded ')
    await soon(() => far.doc.getText('note').toString()).toBe('meanwhile before offline reloaded ')
    const kept = () => tab.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name))
    expect(await kept()).toEqual([`parvis/${ada.id}/${roomId}`])
    const slug = () =>
      tab.evaluate(
        () =>
          new Promise((resolve) => {
            page.room.on('problem', (problem) => resolve((problem as { slug?: string }).slug))
            page.room.messages.markRead(1_000)
          }),
      )
    // What is refused in an open room ends nothing, whatever it is called.
    expect(await slug()).toBe('not-found')
    expect(await tab.evaluate(() => page.room.status)).toBe('open')
    expect(await kept()).toHaveLength(1)
    await bob.client.removeRoomMember({ params: { roomId, userId: ada.id as UserId } })
    await soon(() => tab.evaluate(() => page.room.status)).toBe('closed')
    await soon(kept).toEqual([])
    far.close()
    await tab.context().close()
  })
})
