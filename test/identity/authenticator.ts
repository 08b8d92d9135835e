import { createHmac } from 'node:crypto'
import type { Edge } from '../harness.ts'
import { PASSWORD } from '../harness.ts'
import type { Device } from './account.ts'
import { type Answer, post, read, register } from './raw.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const PERIOD_MS = 30_000

function fromBase32(text: string): Buffer {
  const bits = [...text].map((c) => ALPHABET.indexOf(c).toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

/** An authenticator app: the code of a base32 secret, `steps` periods from now. */
export function codeOf(secret: string, steps = 0): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / PERIOD_MS) + steps))
  const mac = createHmac('sha1', fromBase32(secret)).update(counter).digest()
  return String((mac.readUInt32BE(mac[19]! & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** Codes that the app shows at no time near now. */
export function wrongCodes(secret: string, count: number): string[] {
  const right = new Set([-3, -2, -1, 0, 1, 2, 3].map((steps) => codeOf(secret, steps)))
  const codes: string[] = []
  for (let i = 0; codes.length < count; i++) {
    const code = String(i).padStart(6, '0')
    if (!right.has(code)) codes.push(code)
  }
  return codes
}

/** A user with an authenticator app set up, and what they hold. */
export interface Protected {
  readonly email: string
  readonly secret: string
  readonly recoveryCodes: readonly string[]
  readonly device: Device
}

/** What people do with second factors, over a Worker that is started later. */
export function factorsOf(edge: () => Edge) {
  const call = async (device: Pick<Device, 'accessToken'>, method: string, path: string, body?: unknown): Promise<Answer> => {
    const headers = { authorization: `Bearer ${device.accessToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    return read(await edge().request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }))
  }
  const login = (email: string, more: object = {}) => post(edge(), '/v1/auth/login', { email, password: PASSWORD, ...more })
  const pendingOf = (answer: Answer) => (answer.body['factorRequired'] as { pendingId: string }).pendingId
  const finish = (pendingId: string, proof: object, more: object = {}) =>
    post(edge(), '/v1/auth/login/factor', { pendingId, proof, ...more })
  const totp = (code: string) => ({ method: 'totp', code })
  const recovery = (code: string) => ({ method: 'recovery-code', code })

  return {
    call,
    login,
    finish,
    totp,
    recovery,
    pendingOf,
    factors: async (device: Device) => (await call(device, 'GET', '/v1/auth/factors')).body,
    /** Signs in as far as the second factor. */
    wait: async (email: string, more: object = {}) => pendingOf(await login(email, more)),
    /** Lets the newest code of an app be used once more, as if its period had passed. */
    forgetStep: (userId: string) => edge().db.prepare('UPDATE totp_factors SET last_step = 0 WHERE user_id = ?').bind(userId).run(),
    /** Lets a session's proof grow old. */
    age: (device: Device) =>
      edge().db.prepare('UPDATE sessions SET authenticated_at = authenticated_at - 300001 WHERE id = ?').bind(device.sessionId).run(),
    /** Registers, signs in and sets up an authenticator app. */
    async protect(name: string): Promise<Protected> {
      const email = await register(edge(), name)
      const device = (await login(email)).body as unknown as Device
      const { secret } = (await call(device, 'POST', '/v1/auth/totp')).body as { secret: string }
      const { status, body } = await call(device, 'POST', '/v1/auth/totp/confirm', { code: codeOf(secret, -1) })
      if (status !== 200) throw new Error(`confirming answered ${status}`)
      return { email, secret, recoveryCodes: body['recoveryCodes'] as string[], device }
    },
  }
}
