import { describe, expect, test } from 'vitest'
import {
  BROADCAST_SOCKETS_MAX,
  ROOM_DOCUMENT_BYTES_MAX,
  ROOM_MEMBERS_MAX,
  ROOM_SOCKETS_MAX,
  ROOMS_PER_OWNER_MAX,
} from '../../src/contract/rooms.ts'
import {
  DELETION_BYTES_SPARE,
  expiryCheckAt,
  fullAllowance,
  hasPlace,
  hasRoomFor,
  isOverdrawn,
  mayWrite,
  needsCompaction,
  refusalOfPut,
  refusalOfRemoval,
  SOCKETS_PER_USER_MAX,
  spend,
  TRAFFIC,
  windowLeftMs,
} from '../../src/edge/rooms/policy.ts'
import type { SeatFacts } from '../../src/edge/rooms/seat-store.ts'

const facts = (more: Partial<SeatFacts> = {}): SeatFacts => ({
  callerRole: 'owner',
  role: null,
  displayName: null,
  addedAt: null,
  isUser: 1,
  owners: 1,
  members: 1,
  membersMax: ROOM_MEMBERS_MAX,
  owned: 0,
  ...more,
})

describe('giving a seat', () => {
  test.each([
    [facts({ callerRole: null }), 'editor', 'not-found'],
    [facts({ callerRole: 'editor' }), 'viewer', 'forbidden'],
    [facts({ callerRole: 'viewer', isUser: 0 }), 'viewer', 'forbidden'],
    [facts({ isUser: 0 }), 'viewer', 'not-found'],
    [facts({ role: 'owner' }), 'editor', 'conflict'],
    [facts({ role: 'owner', owners: 2 }), 'editor', undefined],
    [facts({ role: 'owner' }), 'owner', undefined],
    [facts({ members: ROOM_MEMBERS_MAX }), 'editor', 'limit-reached'],
    [facts({ members: ROOM_MEMBERS_MAX, role: 'viewer' }), 'editor', undefined],
    [facts({ owned: ROOMS_PER_OWNER_MAX }), 'owner', 'limit-reached'],
    [facts({ owned: ROOMS_PER_OWNER_MAX }), 'editor', undefined],
    [facts(), 'editor', undefined],
  ] as const)('%j as %s: %s', (given, role, refusal) => expect(refusalOfPut(given, role)).toBe(refusal))
})

describe('taking a seat away', () => {
  test.each([
    [facts({ callerRole: null }), false, 'not-found'],
    [facts({ callerRole: 'editor', role: 'viewer' }), false, 'forbidden'],
    [facts({ callerRole: 'editor', role: 'editor' }), true, undefined],
    [facts({ role: null }), false, 'not-found'],
    [facts({ role: 'owner' }), true, 'conflict'],
    [facts({ role: 'owner', owners: 2 }), true, undefined],
  ] as const)('%j, own seat %s: %s', (given, isOwn, refusal) => expect(refusalOfRemoval(given, isOwn)).toBe(refusal))
})

test('viewers and commenters read, editors and owners write', () => {
  expect((['viewer', 'commenter', 'editor', 'owner'] as const).map(mayWrite)).toEqual([false, false, true, true])
})

test('a room ends at its sockets, and a user before that', () => {
  expect(hasPlace({ inRoom: ROOM_SOCKETS_MAX - 1, ofUser: SOCKETS_PER_USER_MAX - 1, isBroadcast: false })).toBe(true)
  expect(hasPlace({ inRoom: ROOM_SOCKETS_MAX, ofUser: 0, isBroadcast: false })).toBe(false)
  expect(hasPlace({ inRoom: BROADCAST_SOCKETS_MAX - 1, ofUser: 0, isBroadcast: true })).toBe(true)
  expect(hasPlace({ inRoom: BROADCAST_SOCKETS_MAX, ofUser: 0, isBroadcast: true })).toBe(false)
  expect(hasPlace({ inRoom: 1, ofUser: SOCKETS_PER_USER_MAX, isBroadcast: false })).toBe(false)
})

test('expiry is looked for at the whole minute after it', () => {
  expect(expiryCheckAt(120_000)).toBe(120_000)
  expect(expiryCheckAt(120_001)).toBe(180_000)
})

test('a window ends at once after a pause, and else after 10 ms or more, so that many sockets do not get more frames than an object can send', () => {
  const last = { endedAt: 5_000, wasShared: true }
  expect([0, 100, 1000].map((sockets) => windowLeftMs(last, sockets, 5_000))).toEqual([10, 14, 50])
  expect([4_000, 5_004, 5_010, 9_000].map((now) => windowLeftMs(last, 1, now))).toEqual([11, 7, 1, 0])
  expect(windowLeftMs({ ...last, wasShared: false }, 100, 5_000)).toBe(7)
})

test('a document is compacted when its log has grown, a large one less often', () => {
  const size = { baseBytes: 0, logBytes: 10, logRows: 10 }
  expect(needsCompaction(size)).toBe(false)
  expect(needsCompaction({ ...size, logRows: 500 })).toBe(true)
  expect(needsCompaction({ ...size, logBytes: 1_048_576 })).toBe(true)
  expect(needsCompaction({ baseBytes: 20_000_000, logBytes: 1_048_576, logRows: 500 })).toBe(false)
  expect(needsCompaction({ baseBytes: 20_000_000, logBytes: 5_000_000, logRows: 5 })).toBe(true)
})

test('a full document takes deletions a little further', () => {
  const full = { baseBytes: ROOM_DOCUMENT_BYTES_MAX, logBytes: 0, logRows: 0 }
  expect(hasRoomFor(full, { bytes: 1, onlyDeletes: false })).toBe(false)
  expect(hasRoomFor(full, { bytes: DELETION_BYTES_SPARE, onlyDeletes: true })).toBe(true)
  expect(hasRoomFor(full, { bytes: DELETION_BYTES_SPARE + 1, onlyDeletes: true })).toBe(false)
})

describe('an allowance', () => {
  const one = { messages: 1, bytes: 100 }
  test('covers a burst and then the sustained rate', () => {
    let left = fullAllowance(0)
    for (let i = 0; i < TRAFFIC.messages.burst; i++) left = spend(left, one, 0)
    expect(isOverdrawn(left)).toBe(false)
    expect(isOverdrawn(spend(left, one, 0))).toBe(true)
    expect(isOverdrawn(spend(left, { ...one, messages: TRAFFIC.messages.perSecond }, 1_000))).toBe(false)
    expect(isOverdrawn(spend(left, { ...one, messages: TRAFFIC.messages.perSecond + 1 }, 1_000))).toBe(true)
  })
  test('counts bytes as well', () => {
    const left = spend(fullAllowance(0), { messages: 1, bytes: TRAFFIC.bytes.burst }, 0)
    expect(isOverdrawn(left)).toBe(false)
    expect(isOverdrawn(spend(left, { messages: 1, bytes: 1 }, 0))).toBe(true)
  })
  test('never fills beyond the burst, nor runs backwards with the clock', () => {
    expect(spend(fullAllowance(0), { messages: 0, bytes: 0 }, 1e9)).toMatchObject({ messages: TRAFFIC.messages.burst })
    expect(spend({ messages: 5, bytes: 5, at: 10_000 }, { messages: 0, bytes: 0 }, 0)).toMatchObject({ messages: 5 })
  })
})
