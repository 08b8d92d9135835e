import { argon2id } from '@noble/hashes/argon2.js'
import { expect, test } from 'vitest'
import { costBeyond, formatPhc, isCurrent, PASSWORD_COST, parsePhc } from '../../src/edge/identity/phc.ts'
import { parseConfig } from '../../src/edge/platform/config.ts'
import { PASSWORD, rootSecret, startEdge } from '../harness.ts'
import { post, register } from './raw.ts'

test('a stored hash is Argon2id at the OWASP minimum over a peppered password, as another implementation computes it', async () => {
  const edge = await startEdge()
  try {
    const email = await register(edge, 'oracle')
    const row = await edge.db.prepare('SELECT password_hash FROM users WHERE email = ?').bind(email).first<{ password_hash: string }>()
    const phc = parsePhc(row!.password_hash)!
    expect(phc.cost).toEqual({ memoryKib: 19_456, passes: 2, lanes: 1 })
    const { keyring } = parseConfig(edge.settings)
    const pepper = await keyring.mac('password-pepper', new TextEncoder().encode(PASSWORD), phc.pepperVersion)
    const secret = Buffer.from(pepper!).toString('base64url')
    expect(Buffer.from(phc.hash)).toEqual(Buffer.from(argon2id(secret, phc.salt, { m: 19_456, t: 2, p: 1, dkLen: 32 })))
  } finally {
    await edge.stop()
  }
})

test('after a secret is rotated people still sign in, and their hash moves to the new pepper', async () => {
  const old = rootSecret(1)
  const edge = await startEdge({ vars: { SECRET_KEYS: old } })
  try {
    const email = await register(edge, 'rotated')
    const { body } = await post(edge, '/v1/auth/login', { email, password: PASSWORD })
    await edge.server.update((options) => ({
      ...options,
      workers: [{ configPath: './wrangler.toml', vars: { ...edge.settings, SECRET_KEYS: `${rootSecret(2)},${old}` } }],
    }))
    expect((await post(edge, '/v1/auth/login', { email, password: PASSWORD })).status).toBe(200)
    expect((await post(edge, '/v1/auth/refresh', { refreshToken: body['refreshToken'] })).status).toBe(200)
    const db = await edge.reopenDb()
    const row = await db.prepare('SELECT password_hash FROM users WHERE email = ?').bind(email).first<{ password_hash: string }>()
    expect(parsePhc(row!.password_hash)?.pepperVersion).toBe(2)
  } finally {
    await edge.stop()
  }
})

const phc = { cost: PASSWORD_COST, pepperVersion: 7, salt: new Uint8Array(16).fill(1), hash: new Uint8Array(32).fill(2) }

test('a PHC string survives being written and read', () => {
  expect(parsePhc(formatPhc(phc))).toEqual(phc)
  expect(isCurrent(phc, 7)).toBe(true)
  expect(isCurrent(phc, 8)).toBe(false)
})

test('a cheaper hash of before is checked in the time of one at today’s cost, so that it tells no old account from none', () => {
  const work = ({ memoryKib, passes }: { memoryKib: number; passes: number }) => memoryKib * passes
  expect(costBeyond(PASSWORD_COST)).toBeUndefined()
  expect(costBeyond({ ...PASSWORD_COST, passes: PASSWORD_COST.passes + 1 })).toBeUndefined()
  for (const older of [
    { ...PASSWORD_COST, passes: 1 },
    { ...PASSWORD_COST, memoryKib: 12_288 },
    { memoryKib: 64, passes: 1, lanes: 1 },
  ]) {
    const total = work(older) + work(costBeyond(older)!)
    expect(work(PASSWORD_COST) - total, JSON.stringify(older)).toBeLessThan(8)
    expect(total).toBeLessThanOrEqual(work(PASSWORD_COST))
  }
})

test.each([
  ['more memory than an isolate has', formatPhc({ ...phc, cost: { ...PASSWORD_COST, memoryKib: 999_999 } })],
  ['endless passes', formatPhc({ ...phc, cost: { ...PASSWORD_COST, passes: 99 } })],
  ['another algorithm', formatPhc(phc).replace('argon2id', 'argon2i')],
  ['no pepper version', formatPhc(phc).replace(/,keyid=[^$]+/, '')],
  ['nothing', ''],
])('a stored hash that asks for %s is not derived', (_name, text) => expect(parsePhc(text)).toBeUndefined())
