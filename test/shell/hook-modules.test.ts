import { expect, test, vi } from 'vitest'
import { HookQuestion } from '../../src/contract/hooks.ts'
import { decideBy, type ModuleContext } from '../../src/edge/shell/hook-modules.ts'

const DEADLINE_MS = 20
const id = (prefix: string) => `${prefix}_${'0'.repeat(26)}`
const question = HookQuestion.parse({
  shellId: id('shl'),
  orgId: id('org'),
  userId: id('usr'),
  use: 'exec',
  host: { id: id('hst'), kind: 'ssh', name: 'web-1', address: '192.0.2.1', port: 22, tags: [] },
  command: 'true',
})
const context = (): ModuleContext => ({ env: {} as never, log: vi.fn(), now: 0, signal: AbortSignal.timeout(DEADLINE_MS) })

test('a module that never answers has not decided when its time is over, and is told to stop', async () => {
  const given = context()
  const told = vi.fn()
  const decided = decideBy(
    (_, { signal }) => {
      signal.addEventListener('abort', told)
      return new Promise(() => undefined)
    },
    question,
    given,
  )
  expect(await decided).toEqual({ failure: 'timeout' })
  expect(told).toHaveBeenCalledOnce()
})

test('what a module answers or throws after its time is over changes nothing and troubles nobody', async () => {
  for (const late of [() => ({ decision: 'allow' as const }), () => Promise.reject(new Error('too late to matter'))]) {
    const given = context()
    const aborted = new Promise((resolve) => given.signal.addEventListener('abort', resolve))
    expect(await decideBy(() => aborted.then(late), question, given)).toEqual({ failure: 'timeout' })
  }
})

test('a module that throws, at once or later, has not decided, and the error is there for the log', async () => {
  const error = new Error('no such ticket')
  const throwing = () => {
    throw error
  }
  for (const decide of [throwing, () => Promise.reject(error)])
    expect(await decideBy(decide, question, context())).toEqual({ failure: 'module', error })
})

test('a module that answers no decision, or with a reason nobody could read, has not decided', async () => {
  const answers = [
    undefined,
    null,
    true,
    {},
    { decision: 'perhaps' },
    { decision: 'refuse' },
    { decision: 'refuse', reason: 'x'.repeat(301) },
  ]
  for (const answer of answers) expect(await decideBy(() => answer as never, question, context())).toEqual({ failure: 'module' })
  const refusal = { decision: 'refuse' as const, reason: 'Not on Fridays.' }
  expect(await decideBy(() => refusal, question, context())).toEqual(refusal)
})
