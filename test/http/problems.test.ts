import { DrizzleQueryError } from 'drizzle-orm/errors'
import { describe, expect, test } from 'vitest'
import { isProblem, Problem } from '../../src/contract/problem.ts'
import { problemOf, problemResponse } from '../../src/edge/http/problems.ts'
import { describeError } from '../../src/edge/platform/log.ts'
import { open, seal } from '../../src/edge/platform/rpc.ts'

const SQL = 'SELECT * FROM users WHERE password = ?'
const wrapped = (text: string) => new DrizzleQueryError(SQL, ['hunter2-in-a-parameter'], new Error(text))

describe('storage that is out', () => {
  test.each([
    'D1_ERROR: Network connection lost.',
    'D1_ERROR: storage caused object to be reset',
    'Durable Object reset because its code was updated.',
    'D1 DB is overloaded. Too many requests queued.',
  ])('%s is unavailable, with a time to come back', async (text) => {
    const problem = problemOf(wrapped(text))
    expect(problem.slug).toBe('unavailable')
    const answer = problemResponse(problem, 'trace')
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2'])
  })

  test('an object that says it is overloaded or may be retried is unavailable too', () => {
    expect(problemOf(Object.assign(new Error('x'), { overloaded: true })).slug).toBe('unavailable')
    expect(problemOf(Object.assign(new Error('x'), { retryable: true })).slug).toBe('unavailable')
  })
})

test('anything else is internal, and says nothing about itself', async () => {
  const problem = problemOf(wrapped('UNIQUE constraint failed: users.email'))
  expect(problem.slug).toBe('internal')
  const body = await problemResponse(problem, 'trace').text()
  expect(body).toBe('{"type":"/problems/internal","title":"Something failed on our side.","status":500,"traceId":"trace"}')
})

test('what the log says of an error holds no bound parameter', () => {
  const said = JSON.stringify(describeError(wrapped('UNIQUE constraint failed: users.email')))
  expect(said).toContain('UNIQUE constraint failed')
  expect(said).not.toContain('hunter2')
})

test('a problem crosses an object boundary as data and comes out as itself; a bug stays a bug', async () => {
  const extras = { detail: 'taken', retryAfterSeconds: 3 }
  const sealed = await seal(() => {
    throw new Problem('conflict', extras)
  })
  const failure = await open(Promise.resolve(structuredClone(sealed))).catch((e: unknown) => e)
  expect(isProblem(failure) && [failure.slug, failure.extras]).toEqual(['conflict', extras])
  await expect(
    seal(() => {
      throw new TypeError('bug')
    }),
  ).rejects.toThrow(TypeError)
})
