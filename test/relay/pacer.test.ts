import { PassThrough } from 'node:stream'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createGuard } from '../../src/relay/guard.ts'
import { createPacer } from '../../src/relay/pacer.ts'
import { createTelnetChannel } from '../../src/relay/telnet-driver.ts'

/** A loop whose turns are taken by hand, on a clock that moves with the work alone. */
function startLoop() {
  let at = 0
  const turns: (() => void)[] = []
  const time = { now: () => at, soon: (turn: () => void) => void turns.push(turn) }
  return {
    pacer: createPacer(time),
    work: (ms: number) => {
      at += ms
    },
    isIdle: () => turns.length === 0,
    /** One turn; answers what it cost. */
    turn() {
      const startedAt = at
      turns.shift()?.()
      return at - startedAt
    },
  }
}

type Loop = ReturnType<typeof startLoop>

/** A connection each of whose bytes costs so much, and what it was given. */
function join(loop: Loop, msPerByte: number) {
  const taken: Buffer[] = []
  const told = { drained: 0 }
  const lane = loop.pacer.join(
    (bytes) => {
      loop.work(bytes.length * msPerByte)
      taken.push(bytes)
    },
    () => void told.drained++,
  )
  return { ...lane, taken: () => Buffer.concat(taken), slices: () => taken.length, told }
}

describe('turns', () => {
  test('leave who is light out: it is served on the spot, or in the very next one, whoever waits', () => {
    const loop = startLoop()
    const heavy = join(loop, 0.01)
    heavy.push(Buffer.alloc(64_000))
    expect(heavy.isWaiting()).toBe(true)
    const light = join(loop, 0.000_1)
    for (let i = 0; i < 50; i++) {
      light.push(Buffer.alloc(100))
      loop.turn()
      expect(light.isWaiting()).toBe(false)
    }
    expect(light.slices()).toBe(50)
    expect(heavy.isWaiting()).toBe(true)
  })

  test('cost one slice each, however many are dear and however dear they are', () => {
    const loop = startLoop()
    const many = Array.from({ length: 200 }, () => join(loop, 0.01))
    for (const lane of many) lane.push(Buffer.alloc(20_000))
    // A slice was half as long after each that was too dear; from then on a turn is a slice of the shortest.
    for (let i = 0; i < 600; i++) loop.turn()
    for (let i = 0; i < 2_000; i++) expect(loop.turn()).toBeLessThanOrEqual(2.6)
  })

  test('come to all who are dear alike, to each byte in its order, and to an end', async () => {
    await fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: 0.001, max: 0.1, noNaN: true }), fc.uint8Array({ minLength: 1, maxLength: 3_000 }))),
        (given) => {
          const loop = startLoop()
          const lanes = given.map(([cost, bytes]) => ({ ...join(loop, cost), bytes: Buffer.from(bytes) }))
          for (const lane of lanes) lane.push(lane.bytes)
          while (!loop.isIdle()) loop.turn()
          for (const lane of lanes) {
            expect(lane.taken().equals(lane.bytes)).toBe(true)
            expect(lane.isWaiting()).toBe(false)
          }
        },
      ),
      { numRuns: 50 },
    )
    const loop = startLoop()
    const [one, other] = [join(loop, 0.01), join(loop, 0.01)]
    for (const lane of [one, other]) lane.push(Buffer.alloc(60_000))
    for (let i = 0; i < 100; i++) loop.turn()
    expect(Math.abs(one.taken().length - other.taken().length)).toBeLessThan(2_000)
  })

  test('go on for the others when one throws', () => {
    const loop = startLoop()
    const drained: string[] = []
    const broken = loop.pacer.join(
      (bytes) => {
        loop.work(bytes.length)
        if (loop.isIdle()) throw new Error('broken')
      },
      () => void drained.push('broken'),
    )
    const other = join(loop, 0.01)
    other.push(Buffer.alloc(5_000))
    broken.push(Buffer.alloc(1_000))
    let thrown = 0
    while (!loop.isIdle()) {
      try {
        loop.turn()
      } catch {
        thrown++
      }
    }
    expect([thrown > 0, other.taken().length, broken.isWaiting(), drained]).toEqual([true, 5_000, false, ['broken']])
  })

  test('of who has left are nobody’s, and what waited for them is gone', () => {
    const loop = startLoop()
    const lane = join(loop, 1)
    lane.push(Buffer.alloc(1_000))
    const before = lane.slices()
    lane.leave()
    while (!loop.isIdle()) loop.turn()
    lane.push(Buffer.alloc(10))
    expect([lane.slices(), lane.told.drained]).toEqual([before, 0])
  })
})

describe('a Telnet host', () => {
  const start = () => {
    const loop = startLoop()
    const socket = new PassThrough({ highWaterMark: 1024 * 1024 })
    const channel = createTelnetChannel(
      socket,
      { pty: { term: 'xterm', cols: 80, rows: 24 }, keepaliveSeconds: 0 },
      {
        join: (take, drained) =>
          loop.pacer.join((bytes) => {
            loop.work(bytes.length * 0.01)
            take(bytes)
          }, drained),
      },
    )
    const got: Buffer[] = []
    let hasEnded = false
    channel.stdout.on('data', (bytes: Buffer) => void got.push(bytes))
    channel.stdout.on('end', () => {
      hasEnded = true
    })
    return { loop, socket, got: () => Buffer.concat(got), hasEnded: () => hasEnded }
  }
  const nextTick = () => new Promise((resolve) => setImmediate(resolve))

  test('is read no further than waits for its turns, and ends after all of it', async () => {
    const { loop, socket, got, hasEnded } = start()
    // Nothing here is a command, or the host would hear its answers come back.
    for (let i = 0; i < 10; i++) socket.write(Buffer.alloc(10_000, i + 1))
    socket.end()
    await nextTick()
    expect(socket.isPaused()).toBe(true)
    expect(got().length).toBeLessThan(20_000)
    for (let i = 0; !hasEnded() && i < 10_000; i++) {
      loop.turn()
      await nextTick()
    }
    expect(got().equals(Buffer.concat(Array.from({ length: 10 }, (_, i) => Buffer.alloc(10_000, i + 1))))).toBe(true)
  })

  test('that floods with commands is cut, and what waits of it is read no more', async () => {
    const { loop, socket, hasEnded } = start()
    socket.write(Buffer.alloc(60_000, Buffer.of(255, 251, 1, 255, 241)))
    for (let i = 0; !hasEnded() && i < 1_000; i++) {
      loop.turn()
      await nextTick()
    }
    expect([hasEnded(), socket.destroyed]).toEqual([true, true])
    loop.turn()
    expect(loop.isIdle()).toBe(true)
  })
})

test('a guard reads no more from a target than waits for its turns, and gives its end after all of it', async () => {
  const loop = startLoop()
  const socket = new PassThrough({ highWaterMark: 1024 * 1024 })
  const guard = createGuard(socket, {
    join: (take, drained) =>
      loop.pacer.join((bytes) => {
        loop.work(bytes.length * 0.01)
        take(bytes)
      }, drained),
  })
  guard.trust()
  const got: Buffer[] = []
  let hasEnded = false
  guard.sock.on('data', (bytes: Buffer) => void got.push(bytes))
  guard.sock.on('end', () => {
    hasEnded = true
  })
  const greeting = 'SSH-2.0-x\r\n'
  socket.write(greeting)
  for (let i = 0; i < 10; i++) socket.write(Buffer.alloc(10_000, i))
  socket.end()
  await new Promise((resolve) => setImmediate(resolve))
  expect(socket.isPaused()).toBe(true)
  expect(Buffer.concat(got).length).toBeLessThan(20_000)
  for (let i = 0; !hasEnded && i < 10_000; i++) {
    loop.turn()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const all = Buffer.concat(got)
  expect(all.length).toBe(greeting.length + 100_000)
  expect(all.subarray(-10_000).every((byte: number) => byte === 9)).toBe(true)
})
