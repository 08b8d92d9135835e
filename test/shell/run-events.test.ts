import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { RUN_FOLLOW_SECONDS } from '../../src/contract/runs.ts'
import type { LiveRun } from '../../src/edge/shell/run-drive.ts'
import { eventsOf } from '../../src/edge/shell/run-events.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const follower = { userId: 'usr_a' as UserId, after: 0 }

/** A run of which a follower sees only these changes. */
function runOf() {
  const hosts: { seq: number }[] = []
  const book = {
    changedAfter: (seq: number, limit: number) => hosts.filter((host) => host.seq > seq).slice(0, limit),
    record: () => ({ endedAt: null }),
  }
  const run = { book, followers: new Map<() => void, UserId>() } as unknown as LiveRun
  const change = (seq: number) => {
    hosts.push({ seq })
    for (const wake of run.followers.keys()) wake()
  }
  return { run, change }
}

test('a stream of events tells changes at once, gives a sign of life in silence, and ends after its minute', async () => {
  const { run, change } = runOf()
  const reader = eventsOf(run, follower).getReader()
  const next = async () => new TextDecoder().decode((await reader.read()).value)
  expect(await next()).toMatch(/^retry\W 1000\n\n$/)
  const first = next()
  change(1)
  expect(await first).toBe('id: 1\nevent: host\ndata: {"seq":1}\n\n')
  const startedAt = Date.now()
  const said: string[] = []
  const over = (async () => {
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) said.push(new TextDecoder().decode(value))
  })()
  await vi.advanceTimersByTimeAsync(RUN_FOLLOW_SECONDS * 1000)
  await over
  expect(Date.now() - startedAt).toBe(RUN_FOLLOW_SECONDS * 1000)
  expect(said.at(-1)).toBe(': come back\n\n')
  expect(said.slice(0, -1).every((line) => line === ': \n\n')).toBe(true)
  expect(said.length).toBeGreaterThanOrEqual(4)
  expect(run.followers.size).toBe(0)
})

test('a follower who goes away leaves nothing behind', async () => {
  const { run } = runOf()
  const reader = eventsOf(run, follower).getReader()
  await reader.read()
  await reader.cancel()
  expect(run.followers.size).toBe(0)
})

test('a follower who takes nothing holds their place for as long as anybody, and no longer', async () => {
  const { run, change } = runOf()
  const reader = eventsOf(run, follower).getReader()
  await vi.advanceTimersByTimeAsync(RUN_FOLLOW_SECONDS * 1000 - 1)
  change(1)
  expect(run.followers.size).toBe(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(run.followers.size).toBe(0)
  const said: string[] = []
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) said.push(new TextDecoder().decode(value))
  expect(said).toEqual([expect.stringMatching(/^retry\W 1000\n\n$/)])
})
