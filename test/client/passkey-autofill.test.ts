import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { type Edge, startEdge } from '../harness.ts'
import { soon } from './service.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())
afterEach(() => vi.unstubAllGlobals())

interface Asked {
  readonly publicKey: { readonly challenge: string }
  readonly mediation?: string
  readonly signal: AbortSignal
}

/** A browser whose user picks nothing: what is asked of it waits until it is called off, or one modal request is declined. */
function stubBrowser({ canOffer = true } = {}): Asked[] {
  const asked: Asked[] = []
  const platform = { parseRequestOptionsFromJSON: (options: unknown) => options, isConditionalMediationAvailable: async () => canOffer }
  vi.stubGlobal(
    'PublicKeyCredential',
    Object.assign(() => undefined, platform),
  )
  vi.stubGlobal('navigator', {
    credentials: {
      get: (options: Asked) => {
        if (asked.some((each) => each.mediation && !each.signal.aborted)) throw new DOMException('Already pending.', 'OperationError')
        asked.push(options)
        if (options.mediation === undefined) throw new DOMException('Nobody touched it.', 'NotAllowedError')
        return new Promise((_, reject) => options.signal.addEventListener('abort', () => reject(options.signal.reason)))
      },
    },
  })
  return asked
}

/** A client of a service whose challenges are good for so long. */
const clientOf = (timeoutMs = 300_000) =>
  createClient({
    origin: edge.origin,
    fetch: async (url, init) => {
      const answer = await fetch(url, init)
      const body = (await answer.json()) as Record<string, unknown>
      return Response.json({ ...body, timeout: timeoutMs }, { status: answer.status })
    },
  })

test('where a browser offers no passkeys nothing is asked of it, nor of the service', async () => {
  const asked = stubBrowser({ canOffer: false })
  const calls = vi.fn()
  expect(await createClient({ origin: edge.origin, fetch: calls }).passkeys.autofill()).toBeUndefined()
  expect([asked, calls.mock.calls]).toEqual([[], []])
})

test('an offer makes way for another request of the page, and for another offer', async () => {
  const asked = stubBrowser()
  const { passkeys } = clientOf()
  const first = passkeys.autofill()
  await soon(() => asked.length).toBe(1)
  const second = passkeys.autofill()
  await soon(() => asked.length).toBe(2)
  expect(await first).toBeUndefined()
  await expect(passkeys.login()).rejects.toMatchObject({ name: 'NotAllowedError' })
  expect(await second).toBeUndefined()
  expect(asked.map(({ mediation }) => mediation)).toEqual(['conditional', 'conditional', undefined])
})

test('an offer outlives its challenge: before one is stale the next is asked for', async () => {
  const asked = stubBrowser()
  const stop = new AbortController()
  const offered = clientOf(50).passkeys.autofill({}, { signal: stop.signal })
  await soon(() => asked.length).toBeGreaterThanOrEqual(3)
  stop.abort(new Error('the page is left'))
  await expect(offered).rejects.toThrow('the page is left')
  expect(new Set(asked.map(({ publicKey }) => publicKey.challenge)).size).toBe(asked.length)
})
