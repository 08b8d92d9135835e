import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { encode, writeVarString, writeVarUint } from 'lib0/encoding'
import { expect, test } from 'vitest'
import type { RoomId } from '../../src/contract/rooms.ts'
import { named, tokenRequestFrame } from '../../src/edge/rooms/hocuspocus-framing.ts'
import type { Place } from '../../src/edge/rooms/place.ts'
import { LAST_CALL_MS, RENEWAL_AHEAD_MS } from '../../src/edge/rooms/policy.ts'
import { nobodysSeat, unannouncedUpgrade } from '../../src/edge/rooms/seat.ts'
import { liveIn } from './live-peer.ts'
import { type Door, kill, leafOf, newRoom, rawIn, sameAs, seatOf, userId } from './rooms-peer.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const TOKEN = 'a.b.c'

let rooms = 0
/** A room by a name that is one, since tokens are looked at for rooms alone. */
const namedRoom = () => env.ROOMS.getByName(`rm_${String(++rooms).padStart(26, '0')}` as RoomId)

const tokenFrame = (roomId: string) =>
  named(
    roomId,
    encode((e) => {
      writeVarUint(e, 2)
      writeVarUint(e, 0)
      writeVarString(e, TOKEN)
      writeVarString(e, '4.8.0')
    }),
  )

async function lateIn(door: Door): Promise<WebSocket> {
  const { webSocket } = await door.fetch(unannouncedUpgrade(TRACEPARENT, false))
  if (!webSocket) throw new Error('declined')
  webSocket.accept()
  return webSocket
}

const closing = (socket: WebSocket) =>
  new Promise<string>((resolve) => socket.addEventListener('close', ({ reason }) => resolve(reason), { once: true }))

test('who is having a credential looked at when a room is killed comes again at once, from a leaf too', async () => {
  const room = namedRoom()
  const knock = { ...nobodysSeat({ expiresAt: Date.now() + 900_000, isBroadcast: false }), framing: 'live' } as const
  const asking = await Promise.all([room, leafOf(room, 0)].map((door) => liveIn(door, 'nobody', 'viewer', knock)))
  const late = await Promise.all([room, leafOf(room, 0)].map((door) => lateIn(door)))
  const lateAreClosed = late.map(closing)
  for (const { send } of asking) send({ type: 'authenticate', token: TOKEN })
  for (const socket of late) socket.send(tokenFrame(room.name ?? ''))
  await kill(room)
  await sameAs(room).ping()
  // An answer may have come first, and it is no: a provider may try another token then, and is closed all the same.
  for (const { closed } of asking) await closed
  await Promise.all(lateAreClosed)
  expect(await sameAs(room).seated()).toEqual([])
  await expect(sameAs(room).stats()).resolves.toMatchObject({ sockets: 0 })
})

test('a provider whose answer was lost with the memory is asked for its token once more, twenty seconds before that expires', async () => {
  const room = newRoom()
  const now = Date.now()
  const ahead = (ms: number) => now + ms
  const sockets = [
    { name: 'new', expiresAt: ahead(RENEWAL_AHEAD_MS - 1_000), askedAt: null, isAsked: true },
    { name: 'asked', expiresAt: ahead(LAST_CALL_MS + 30_000), askedAt: now - 40_000, isAsked: false },
    { name: 'silent', expiresAt: ahead(LAST_CALL_MS - 1_000), askedAt: now - 70_000, isAsked: true },
    { name: 'told', expiresAt: ahead(LAST_CALL_MS - 1_000), askedAt: now, isAsked: false },
  ]
  const peers = await Promise.all(sockets.map(({ name, expiresAt }) => rawIn(room, seatOf(name, 'editor', { expiresAt }))))
  await runInDurableObject(room, (_, state) => {
    for (const socket of state.getWebSockets()) {
      const place = socket.deserializeAttachment() as Place
      const askedAt = sockets.find(({ name }) => place.userId === userId(name))?.askedAt
      socket.serializeAttachment({ ...place, framing: 'hocuspocus', key: 'doc', askedAt })
    }
  })
  await evictDurableObject(room, { webSockets: 'hibernate' })
  await runDurableObjectAlarm(room)
  const request = named('doc', tokenRequestFrame)
  const isRequest = (frame: Uint8Array) => frame.length === request.length && frame.every((byte, i) => byte === request[i])
  for (const [i, { isAsked }] of sockets.entries()) if (isAsked) await peers[i]?.frame(isRequest)
  expect(peers.map(({ frames }) => frames.some(isRequest))).toEqual(sockets.map(({ isAsked }) => isAsked))
  // The one that may still answer is looked at in time, whatever the grid.
  const alarmAt = await runInDurableObject(room, (_, { storage }) => storage.getAlarm())
  expect(alarmAt).toBeLessThanOrEqual(ahead(30_000))
})
