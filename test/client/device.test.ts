import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type ClientOptions, createClient, type DeviceMarks, localStorageTokens, memoryTokens } from '../../src/client/client.ts'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { codeOf, factorsOf } from '../identity/authenticator.ts'
import { register } from '../identity/raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())
afterEach(() => vi.unstubAllGlobals())

const { protect } = factorsOf(() => edge)
const DEVICE_TOKEN = /^pdv_/

/** A browser's storage, as all clients of one origin share it. */
function stubStorage(): Map<string, string> {
  const kept = new Map<string, string>()
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  })
  return kept
}

/** A client, and what the bodies of its calls have said. */
function spiedClient(options: Omit<ClientOptions, 'origin'> = {}) {
  const sent: Record<string, unknown>[] = []
  const parvis = createClient({
    origin: edge.origin,
    ...options,
    fetch: (url, init) => {
      if (typeof init?.body === 'string') sent.push(JSON.parse(init.body))
      return fetch(url, init)
    },
  })
  return { parvis, sent }
}

describe('what a sign-in gave the device', () => {
  test.each([
    ['in a browser', () => localStorageTokens()],
    ['in memory', () => memoryTokens()],
    ['with a store of one’s own that knows nothing of devices', () => ({ read: memoryTokens().read, write: () => undefined })],
  ])('%s is shown at the next, over signing out', async (_, storeOf) => {
    stubStorage()
    const email = await register(edge, 'kept')
    const { parvis, sent } = spiedClient({ tokens: storeOf() })
    await parvis.login({ body: { email, password: PASSWORD } })
    await parvis.logout()
    await parvis.login({ body: { email, password: PASSWORD } })
    const [first, second] = sent.filter((body) => 'password' in body)
    expect(first).not.toHaveProperty('deviceToken')
    expect(second).toMatchObject({ deviceToken: expect.stringMatching(DEVICE_TOKEN) })
    const { n } = (await edge.db
      .prepare('SELECT count(*) AS n FROM known_devices AS d JOIN users AS u ON u.id = d.user_id WHERE u.email = ?')
      .bind(email)
      .first<{ n: number }>())!
    expect(n).toBe(1)
  })

  test('is kept where a store of one’s own says, and never among the tokens', async () => {
    const written: DeviceMarks[] = []
    const tokens = memoryTokens()
    const device = { read: () => written.at(-1), write: (marks: DeviceMarks) => void written.push(marks) }
    const email = await register(edge, 'own-store')
    const { parvis } = spiedClient({ tokens: { ...tokens, device } })
    const answer = await parvis.login({ body: { email, password: PASSWORD } })
    expect(written).toEqual([{ deviceToken: expect.stringMatching(DEVICE_TOKEN) }])
    expect(JSON.stringify([answer, await tokens.read()])).not.toContain('pdv_')
  })

  test('damaged is as good as nothing', async () => {
    const kept = stubStorage()
    const email = await register(edge, 'damaged')
    for (const damage of ['{', '7', '{"deviceToken":7}', 'null']) {
      kept.set('parvis.tokens.device', damage)
      const { parvis, sent } = spiedClient({ tokens: localStorageTokens() })
      await parvis.login({ body: { email, password: PASSWORD } })
      expect(sent[0]).not.toHaveProperty('deviceToken')
    }
  })

  test('leaves the second factor out where it is trusted, over signing out, with nothing for the app to keep', async () => {
    stubStorage()
    const { email, secret } = await protect('trusting')
    const { parvis, sent } = spiedClient({ tokens: localStorageTokens() })
    const first = await parvis.login({ body: { email, password: PASSWORD } })
    const { pendingId } = first.factorRequired!
    await parvis.finishLogin({ body: { pendingId, proof: { method: 'totp', code: codeOf(secret) }, trustDevice: true } })
    await parvis.logout()
    const again = await parvis.login({ body: { email, password: PASSWORD } })
    expect(again.factorRequired).toBeUndefined()
    expect(sent.at(-1)).toMatchObject({ trustToken: expect.stringMatching(/^ptd_/), deviceToken: expect.stringMatching(DEVICE_TOKEN) })
  })

  test('is left to cookies in cookie mode', async () => {
    const email = await register(edge, 'cookies')
    const written: unknown[] = []
    const device = { read: () => ({ deviceToken: 'pdv_x', trustToken: 'ptd_x' }), write: (marks: DeviceMarks) => void written.push(marks) }
    const { parvis, sent } = spiedClient({ mode: 'cookie', tokens: { ...memoryTokens(), device } })
    await parvis.login({ body: { email, password: PASSWORD } })
    expect(sent[0]).toEqual({ email, password: PASSWORD, mode: 'cookie' })
    expect(written).toEqual([])
  })
})
