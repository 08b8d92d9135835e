import { createECDH } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encryptPush, PUSH_BYTES_MAX } from '../../src/edge/inbox/push-message.ts'
import { isPushService, isServiceName } from '../../src/edge/platform/push-services.ts'
import { openPush } from './push-service.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))

/** RFC 8291 §5 and appendix A. */
const RFC = {
  plain: 'When I grow up, I want to be a watermelon',
  ownPublic: 'BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8',
  ownPrivate: 'yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw',
  p256dh: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
  auth: 'BTBZMqHH6r4Tts7J_aSIgg',
  salt: 'DGv6ra1nlYgDCS1FRnbzlw',
  message:
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
}

async function rfcMaterial() {
  const curve = { name: 'ECDH', namedCurve: 'P-256' }
  const point = bytes(RFC.ownPublic)
  const [x, y] = [point.slice(1, 33), point.slice(33)].map((half) => Buffer.from(half).toString('base64url'))
  const jwk = { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: RFC.ownPrivate }
  return {
    keys: {
      publicKey: await crypto.subtle.importKey('raw', point, curve, true, []),
      privateKey: await crypto.subtle.importKey('jwk', jwk, curve, false, ['deriveBits']),
    } as CryptoKeyPair,
    salt: bytes(RFC.salt),
  }
}

test('a message is what RFC 8291 §5 says', async () => {
  const keys = { p256dh: bytes(RFC.p256dh), auth: bytes(RFC.auth) }
  const sealed = await encryptPush(new TextEncoder().encode(RFC.plain), keys, await rfcMaterial())
  expect(Buffer.from(sealed).toString('base64url')).toBe(RFC.message)
})

test('what a device opens is what was said, up to the longest; longer is refused', async () => {
  const device = createECDH('prime256v1')
  const p256dh = new Uint8Array(device.generateKeys())
  const auth = crypto.getRandomValues(new Uint8Array(16))
  const plain = crypto.getRandomValues(new Uint8Array(PUSH_BYTES_MAX))
  const sealed = await encryptPush(plain, { p256dh, auth })
  expect(sealed).toHaveLength(4096)
  expect(new Uint8Array(openPush(sealed, { device, auth }))).toEqual(plain)
  expect(await encryptPush(plain, { p256dh, auth })).not.toEqual(sealed)
  await expect(encryptPush(new Uint8Array(PUSH_BYTES_MAX + 1), { p256dh, auth })).rejects.toThrow(RangeError)
  await expect(encryptPush(plain, { p256dh: new Uint8Array(65), auth })).rejects.toThrow()
})

describe('push services', () => {
  const pushServices = ['fcm.googleapis.com', '*.push.apple.com', 'http://127.0.0.1:9']

  test.each(['https://fcm.googleapis.com/fcm/send/x', 'https://web.push.apple.com/Q'])('%s is one', (endpoint) => {
    expect(isPushService(endpoint, { isDev: false, pushServices })).toBe(true)
  })

  test.each([
    'http://fcm.googleapis.com/x',
    'https://fcm.googleapis.com:8443/x',
    'https://user@fcm.googleapis.com/x',
    'https://fcm.googleapis.com.evil.example/x',
    'https://evilpush.apple.com/x',
    'https://push.apple.com/x',
    'https://127.0.0.1/x',
    'https://[::1]/x',
    'https://169.254.169.254/latest',
    'https://10.0.0.1/x',
    'https://localhost/x',
    'http://127.0.0.1:9/x',
    'ftp://fcm.googleapis.com/x',
    'nothing',
  ])('%s is none', (endpoint) => {
    expect(isPushService(endpoint, { isDev: false, pushServices })).toBe(false)
  })

  test('an exact origin stands in for one in dev only', () => {
    expect(isPushService('http://127.0.0.1:9/x', { isDev: true, pushServices })).toBe(true)
    expect(isPushService('http://127.0.0.1:10/x', { isDev: true, pushServices })).toBe(false)
  })

  test.each(['10.0.0.1', 'localhost', '*', '*.com/', 'https://a.example/path'])('%s cannot be listed', (word) => {
    expect(isServiceName(word)).toBe(false)
  })
})
