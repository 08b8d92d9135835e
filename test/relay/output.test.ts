import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createOutput } from '../../src/relay/output.ts'
import type { StreamPort } from '../../src/relay/port.ts'
import type { OutputRun } from '../../src/relay/ring.ts'

/** A readable side whose bytes come when the test says so. */
class Source extends EventEmitter {
  isPaused = false
  pause() {
    this.isPaused = true
  }
  resume() {
    this.isPaused = false
  }
}

function attached(creditBytes = 2 * 1024 * 1024) {
  const [stdout, stderr] = [new Source(), new Source()]
  const frames: OutputRun[] = []
  const told = { allSent: 0 }
  const output = createOutput({ stdout, stderr, onBytes: () => undefined, onAllSent: () => void told.allSent++ })
  const port: StreamPort = { send: () => undefined, sendOutput: (run) => void frames.push(run), isWritable: () => true }
  output.attach(port, 0, creditBytes)
  let next = 0
  const say = (bytes: number, from: Source = stdout) => from.emit('data', Buffer.from(Array.from({ length: bytes }, () => next++ % 251)))
  const sent = () => Buffer.concat(frames.map(({ bytes }) => bytes))
  return { output, stdout, stderr, frames, told, say, sent }
}

describe('output on its way', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  test('goes at once when it comes alone, as an echo does', () => {
    const { say, frames } = attached()
    for (let i = 1; i <= 20; i++) {
      say(1)
      expect(frames.length).toBe(i)
      vi.advanceTimersByTime(8)
    }
  })

  test('of a flood is gathered into few large frames, none of it for longer than a moment', () => {
    const { say, frames, sent } = attached()
    for (let i = 0; i < 256; i++) {
      say(4096)
      if (i % 64 === 63) vi.advanceTimersByTime(1)
    }
    expect(frames.length).toBeLessThan(24)
    expect(Math.max(...frames.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(64 * 1024)
    say(10)
    vi.advanceTimersByTime(4)
    expect(sent().length).toBe(256 * 4096 + 10)
    expect(sent().every((byte: number, i: number) => byte === i % 251)).toBe(true)
  })

  test('keeps the order and the kind of both streams', () => {
    const { say, frames, stdout, stderr } = attached()
    say(3, stdout)
    say(2, stderr)
    say(2, stderr)
    say(1, stdout)
    vi.advanceTimersByTime(4)
    expect(frames.map(({ offset, isStderr, bytes }) => [offset, isStderr, bytes.length])).toEqual([
      [0, false, 3],
      [3, true, 4],
      [7, false, 1],
    ])
  })

  test('never passes its credit, and its end is known when the last byte has gone', () => {
    const { output, say, sent, told } = attached(100)
    say(150)
    vi.advanceTimersByTime(50)
    expect(sent().length).toBe(100)
    expect(told.allSent).toBe(0)
    output.addCredit(50)
    expect(sent().length).toBe(150)
    expect(told.allSent).toBe(1)
  })

  test('that waits for its moment is sent no more once nobody is attached', () => {
    const { output, say, frames } = attached()
    say(1)
    say(1)
    output.detach()
    vi.advanceTimersByTime(50)
    expect(frames.length).toBe(1)
  })
})
