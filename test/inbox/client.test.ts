import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Inbox, InboxEvents } from '../../src/client/client.ts'
import type { UserId } from '../../src/contract/identity.ts'
import type { Notification } from '../../src/contract/inbox.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { until } from '../until.ts'

let edge: Edge
let ada: TestUser
beforeAll(async () => {
  edge = await startEdge()
  ada = await edge.signUp('ada')
})
afterAll(async () => {
  ada.client.close()
  await edge.stop()
})

/** Gives somebody a seat in a room, which they are told of. */
async function seat({ id }: TestUser): Promise<void> {
  const room = await ada.client.createRoom({ body: { name: 'room' } })
  await ada.client.putRoomMember({ params: { roomId: room.id, userId: id }, body: { role: 'editor' } })
}

const opened = (inbox: Inbox) => until(async () => inbox.cursor !== undefined)

function record(inbox: Inbox) {
  const added: Notification[] = []
  const heard: string[] = []
  const names = ['added', 'read', 'deleted', 'unread', 'missed'] as const satisfies (keyof InboxEvents)[]
  for (const name of names) inbox.on(name, () => heard.push(name))
  inbox.on('added', (notification) => added.push(notification))
  return { added, heard }
}

test('tells what comes, how many are unread, and what another device reads', async () => {
  const bob = await edge.signUp('bob')
  const inbox = bob.client.inbox.connect()
  const { added, heard } = record(inbox)
  await opened(inbox)
  expect(inbox.unread).toBe(0)
  await seat(bob)
  await until(async () => inbox.unread === 1)
  expect(added[0]?.content).toMatchObject({ kind: 'room-member', role: 'editor' })
  await inbox.markRead(added[0]!.id)
  await until(async () => inbox.unread === 0)
  await bob.client.deleteNotification({ params: { notificationId: added[0]!.id } })
  await until(async () => heard.includes('deleted'))
  expect(heard.filter((name) => name !== 'unread')).toEqual(['added', 'read', 'deleted'])
  bob.client.close()
  expect(inbox.status).toBe('closed')
})

test('goes on where it was left, and says so when it cannot', async () => {
  const cleo = await edge.signUp('cleo')
  const first = cleo.client.inbox.connect()
  await opened(first)
  const { cursor } = first
  first.close()
  await seat(cleo)
  await until(async () => (await cleo.client.getUnread()).unread === 1)
  const second = cleo.client.inbox.connect({ since: cursor })
  const { added, heard } = record(second)
  await until(async () => added.length === 1)
  expect(heard).not.toContain('missed')
  const third = cleo.client.inbox.connect({ since: { epoch: 'gone', seq: 1 } })
  const missed = record(third)
  await until(async () => missed.heard.includes('missed'))
  expect(third.cursor).toEqual(second.cursor)
  cleo.client.close()
})

test('tells who of those one shares a room with is here, for as long as they share one', async () => {
  const fay = await edge.signUp('fay')
  const { id: roomId } = await ada.client.createRoom({ body: { name: 'company' } })
  const inboxes = [ada, fay].map(({ client }) => client.inbox.connect({ presence: 'shown' }))
  const [atAda, atFay] = inboxes as [Inbox, Inbox]
  await Promise.all(inboxes.map(opened))
  expect(atAda.presence).toEqual([])
  const together = () => until(async () => atAda.presence.includes(fay.id as UserId) && atFay.presence.includes(ada.id as UserId))
  const apart = () => until(async () => atAda.presence.length + atFay.presence.length === 0)
  const put = () => ada.client.putRoomMember({ params: { roomId, userId: fay.id as UserId }, body: { role: 'viewer' } })
  await put()
  await together()
  await ada.client.removeRoomMember({ params: { roomId, userId: fay.id as UserId } })
  await apart()
  await put()
  await together()
  await ada.client.updateRoom({ params: { roomId }, body: { archived: true } })
  await apart()
  await ada.client.updateRoom({ params: { roomId }, body: { archived: false } })
  await together()
  await ada.client.deleteRoom({ params: { roomId } })
  await apart()
  fay.client.close()
  atAda.close()
})

test('opens by ticket where no token is to be shown', async () => {
  const dan = await edge.signUp('dan')
  const inbox = dan.client.inbox.connect({ ticket: true })
  await opened(inbox)
  dan.client.close()
})

test('is over when the session ends, and the client knows that nobody is signed in', async () => {
  const eve = await edge.signUp('eve')
  const other = edge.client()
  const inbox = eve.client.inbox.connect()
  await opened(inbox)
  const problem = new Promise<Error>((resolve) => inbox.on('problem', resolve))
  await other.login({ body: { email: eve.email, password: 'correct horse battery staple' } })
  await other.revokeOtherSessions()
  expect(await problem).toMatchObject({ slug: 'session-ended' })
  expect(inbox.status).toBe('closed')
  await until(async () => (await eve.client.session()) === undefined)
  other.close()
})
