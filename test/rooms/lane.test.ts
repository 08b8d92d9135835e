import { expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { openLane } from '../../src/edge/rooms/lane.ts'
import { openQueue } from '../../src/edge/rooms/leaf-door.ts'
import type { Order } from '../../src/edge/rooms/leaf-words.ts'
import { openLink } from '../../src/edge/rooms/link.ts'

const MIB = 1_048_576

test('a lane takes up what is exempt however much waits, and goes on after a failure', async () => {
  const carried: string[] = []
  let failures = 1
  const lost: string[] = []
  const lane = openLane<string>({
    carry: async (items) => {
      if (failures-- > 0) throw new Error('not now')
      carried.push(...items)
    },
    onLost: (items) => void lost.push(...items),
  })
  expect(lane.push('large', 33 * MIB)).toBe(false)
  expect(lane.push('first', 30 * MIB)).toBe(true)
  expect(lane.push('too much', 3 * MIB)).toBe(false)
  expect(lane.push('exempt', 3 * MIB, true)).toBe(true)
  await lane.carried()
  expect([lost, carried]).toEqual([['first'], ['exempt']])
  expect(lane.isIdle()).toBe(true)
})

test('what the calls of many lanes carry at one moment has one bound, and each goes on with an item at a time', async () => {
  const calls = { bytes: 0 }
  let carrying = 0
  let most = 0
  const held: (() => void)[] = []
  const carry = async (items: readonly number[]) => {
    carrying += items.length
    most = Math.max(most, carrying)
    await new Promise<void>((resolve) => void held.push(resolve))
    carrying -= items.length
  }
  const lanes = Array.from({ length: 32 }, () => openLane<number>({ calls, carry, onLost: () => undefined }))
  for (const lane of lanes) for (let i = 0; i < 8; i++) lane.push(i, MIB)
  while (!lanes.every((lane) => lane.isIdle())) {
    for (const go of held.splice(0)) go()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(most).toBeLessThanOrEqual(4 * 8 + 28)
  expect(calls.bytes).toBe(0)
})

test('answers beyond their budget close only who asked, and the rest of the leaf hears on', async () => {
  const orders: Order[] = []
  const lost: string[] = []
  const link = openLink({
    leaf: 0,
    stub: () => ({
      begin: async () => [],
      deliver: async ({ orders: some }) => {
        orders.push(...some)
        return { isObeyed: true, roll: null }
      },
    }),
    nextLink: () => 1,
    answers: { bytes: 0 },
    calls: { bytes: 0 },
    onBusy: () => undefined,
    onFailed: () => undefined,
    onLost: (peers) => void lost.push(...peers.map(({ id }) => id)),
  })
  const peers = Array.from({ length: 70 }, (_, i) => link.seat(`${i}`))
  for (const peer of peers) peer.send(new Uint8Array(MIB))
  link.give({ kind: 'document', frames: [] }, 64)
  await link.carried()
  expect(lost).toEqual([])
  expect(orders.filter(({ kind }) => kind === 'frame')).toHaveLength(16)
  expect(orders.filter(({ kind }) => kind === 'close')).toHaveLength(54)
  expect(orders.at(-1)?.kind).toBe('document')
  peers[0]?.send(new Uint8Array(20 * MIB))
  await link.carried()
  expect(orders.filter((order) => order.kind === 'frame' && order.id === '0')).toHaveLength(6)
})

test('what of one socket waits at a leaf is bounded, and least for a stranger', () => {
  const queue = openQueue()
  const ada = { userId: 'usr_ada' as UserId }
  for (let i = 0; i < 8; i++) expect(queue.refusal('a', ada, MIB)).toBeUndefined()
  expect(queue.refusal('a', ada, 1)).toBe('rate-limited')
  expect(queue.refusal('b', ada, MIB)).toBeUndefined()
  queue.release('a', MIB)
  expect(queue.refusal('a', ada, MIB)).toBeUndefined()
  expect(queue.refusal('c', {}, 65_537)).toBe('payload-too-large')
  expect(queue.refusal('c', {}, 65_536)).toBeUndefined()
  expect(queue.refusal('c', {}, 1)).toBe('rate-limited')
})
