import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import { decodeJwt, exportSPKI, generateKeyPair, importJWK, type JWK, type JWTHeaderParameters, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signingKey } from '../../src/edge/identity/signing-keys.ts'
import { type Edge, ORIGIN, startEdge } from '../harness.ts'
import { factorsOf } from './authenticator.ts'
import { FORGED_TOKEN, mailsOf } from './mailed.ts'
import { post, read, signInRaw } from './raw.ts'
import { scopeOf } from './scope.ts'

let edge: Edge
let mine: Awaited<ReturnType<typeof signInRaw>>
let signer: Awaited<ReturnType<typeof signingKey>>
beforeAll(async () => {
  edge = await startEdge()
  mine = await signInRaw(edge, 'forged')
  signer = await signingKey(scopeOf(edge))
})
afterAll(() => edge.stop())

const { askMagic, newest } = mailsOf(() => edge)
const { protect, wait } = factorsOf(() => edge)
const session = async (token: string) => read(await edge.request('/v1/auth/session', { headers: { authorization: `Bearer ${token}` } }))
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

interface Change {
  readonly header?: object
  readonly claims?: Record<string, unknown>
}

/** A token that our own key signs, changed: what a slip of ours, or another use of the key, might make. */
function signed({ header = {}, claims = {} }: Change = {}): Promise<string> {
  const body = Object.fromEntries(Object.entries({ ...decodeJwt(mine.accessToken), ...claims }).filter(([, value]) => value !== undefined))
  const { alg, kid, key } = signer
  const head = Object.fromEntries(Object.entries({ alg, typ: 'at+jwt', kid, ...header }).filter(([, value]) => value !== undefined))
  return new SignJWT(body).setProtectedHeader(head as { alg: string }).sign(key, { crit: { 'urn:parvis:x': true } })
}

const seconds = () => Math.floor(Date.now() / 1000)

test('the test signs as the Worker does: unchanged, its token is let in', async () => {
  expect((await session(await signed())).status).toBe(200)
})

describe('a token of our own key is refused', () => {
  test.each<[string, () => Change]>([
    ['for another audience', () => ({ claims: { aud: 'https://other.example' } })],
    ['for ours and another spelling of it', () => ({ claims: { aud: `${ORIGIN}/` } })],
    ['for no audience', () => ({ claims: { aud: undefined } })],
    ['of another issuer', () => ({ claims: { iss: 'https://evil.example' } })],
    ['of no issuer', () => ({ claims: { iss: undefined } })],
    ['of another type', () => ({ header: { typ: 'JWT' } })],
    ['of the type of an ID token', () => ({ header: { typ: 'id+jwt' } })],
    ['of no type', () => ({ header: { typ: undefined } })],
    ['past its time', () => ({ claims: { exp: seconds() - 60 } })],
    ['without an end', () => ({ claims: { exp: undefined } })],
    ['whose end is text', () => ({ claims: { exp: 'never' } })],
    ['whose end is no whole number', () => ({ claims: { exp: seconds() + 60.5 } })],
    ['before its time', () => ({ claims: { nbf: seconds() + 120 } })],
    ['without a session', () => ({ claims: { sid: undefined } })],
    ['of a session that is a list', () => ({ claims: { sid: [mine.sessionId] } })],
    ['of a user that is no id', () => ({ claims: { sub: "' OR 1=1 --" } })],
    ['without a user', () => ({ claims: { sub: undefined } })],
    ['without an id', () => ({ claims: { jti: undefined } })],
    ['with a critical header that we do not know', () => ({ header: { crit: ['urn:parvis:x'], 'urn:parvis:x': true } })],
    ['under an unknown key', () => ({ header: { kid: 'key_01jd0000000000000000000001' } })],
    ['under a key that is SQL', () => ({ header: { kid: "x' UNION SELECT public_jwk FROM signing_keys --" } })],
    ['under no key', () => ({ header: { kid: undefined } })],
  ])('%s', async (_, change) => {
    expect(await session(await signed(change()))).toMatchObject({ status: 401, slug: 'unauthenticated' })
  })

  test('of a session that is not there', async () => {
    expect(await session(await signed({ claims: { sid: 'ses_01jd0000000000000000000001' } }))).toMatchObject({ slug: 'session-ended' })
  })
})

describe('an algorithm is the key’s, whatever the token says', () => {
  const published = async () =>
    ((await (await edge.request('/.well-known/jwks.json')).json()) as { keys: (JWK & { kid: string })[] }).keys[0]!
  const withMac = (header: object, secret: string | Buffer) => {
    const text = `${encode(header)}.${encode(decodeJwt(mine.accessToken))}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }

  test('so nothing is signed by what everybody knows', async () => {
    const jwk = await published()
    const header = { alg: 'HS256', typ: 'at+jwt', kid: jwk.kid }
    const pem = await exportSPKI((await importJWK(jwk, 'EdDSA')) as CryptoKey)
    const secrets = [
      JSON.stringify(jwk),
      JSON.stringify({ keys: [jwk] }),
      Buffer.from(jwk.x!, 'base64url'),
      jwk.x!,
      pem,
      pem.trim(),
      '',
      '\0',
    ]
    for (const secret of secrets) expect((await session(withMac(header, secret))).slug).toBe('unauthenticated')
  })

  test.each(['none', 'None', 'NONE', 'nOnE', '', 'HS256', 'HS512', 'RS256', 'PS256', 'ES256', 'ES256K', 'Ed448', 'dir', 'EdDSA '])(
    'not %j',
    async (alg) => {
      const { kid } = signer
      const [, body, signature] = mine.accessToken.split('.')
      const zeros = Buffer.alloc(64).toString('base64url')
      for (const tail of ['', signature, zeros])
        expect((await session(`${encode({ alg, typ: 'at+jwt', kid })}.${body}.${tail}`)).slug).toBe('unauthenticated')
    },
  )

  test('and no key comes along', async () => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: signer.kid }
    const url = `${edge.origin}/.well-known/jwks.json`
    for (const more of [{ jwk }, { jku: url }, { x5u: url }, { x5c: ['AAAA'] }, { jwk, kid: undefined }]) {
      const header: JWTHeaderParameters = { alg: 'EdDSA', typ: 'at+jwt', kid: signer.kid, ...(more as object) }
      const token = await new SignJWT(decodeJwt(mine.accessToken)).setProtectedHeader(header).sign(privateKey)
      expect((await session(token)).slug).toBe('unauthenticated')
    }
  })

  test('and a payload that is not encoded (RFC 7797) is none', async () => {
    const { kid } = signer
    const header = encode({ alg: 'EdDSA', typ: 'at+jwt', kid, b64: false, crit: ['b64'] })
    const body = encode(decodeJwt(mine.accessToken))
    const signature = await crypto.subtle.sign('Ed25519', signer.key as CryptoKey, new TextEncoder().encode(`${header}.${body}`))
    expect((await session(`${header}.${body}.${Buffer.from(signature).toString('base64url')}`)).slug).toBe('unauthenticated')
  })
})

test('a token that is encrypted and packed (JWE, zip) is none', async () => {
  for (const alg of ['dir', 'A256KW', 'ECDH-ES', 'RSA-OAEP-256']) {
    const header = encode({ alg, enc: 'A256GCM', zip: 'DEF', typ: 'at+jwt', kid: signer.kid })
    const packed = 'A'.repeat(40_000)
    for (const key of ['', 'AAAA'])
      expect((await session(`${header}.${key}.AAAAAAAAAAAAAAAA.${packed}.AAAAAAAAAAAAAAAAAAAAAA`)).slug).toBe('unauthenticated')
  }
})

describe('what was made for another purpose', () => {
  test('is no access token', async () => {
    const authorization = `Bearer ${mine.accessToken}`
    const { body: room } = await post(edge, '/v1/rooms', { name: 'room' }, { authorization })
    const ticket = async (path: string) =>
      String((await read(await edge.request(path, { method: 'POST', headers: { authorization } }))).body['ticket'])
    await askMagic(mine.email)
    const mailed = await newest(mine.email, 2)
    const guarded = await protect('guarded')
    const others = {
      'a ticket of a room': await ticket(`/v1/rooms/${room['id']}/tickets`),
      'a ticket of the inbox': await ticket('/v1/inbox/tickets'),
      'a refresh token': mine.refreshToken,
      'what tells a device': mine.deviceToken,
      'the token of a link': mailed.token,
      'a mailed code': mailed.code,
      'a sign-in that waits': await wait(guarded.email),
      'a recovery code': guarded.recoveryCodes[0]!,
      'the secret of an app': guarded.secret,
      'a session': mine.sessionId,
      'a user': mine.userId,
    }
    const slugs = await Promise.all(Object.entries(others).map(async ([name, token]) => [name, (await session(token)).slug]))
    expect(Object.fromEntries(slugs)).toEqual(Object.fromEntries(Object.keys(others).map((name) => [name, 'unauthenticated'])))
  })

  test('is nothing that an access token could stand in for', async () => {
    const token = mine.accessToken
    const answers = [
      await post(edge, '/v1/auth/refresh', { refreshToken: token }),
      await post(edge, '/v1/auth/logout', { refreshToken: token }),
      await post(edge, '/v1/auth/magic/verify', { token }),
      await post(edge, '/v1/auth/verify', { token, password: 'seven otters juggle lanterns' }),
      await post(edge, '/v1/auth/password/reset', { token, newPassword: 'seven otters juggle lanterns' }),
      await post(edge, '/v1/auth/account/restore', { token }),
    ]
    expect(answers.map(({ status }) => status >= 400 && status < 500)).toEqual(Array(6).fill(true))
    expect((await session(token)).status).toBe(200)
    expect((await post(edge, '/v1/auth/account/restore', { token: FORGED_TOKEN })).slug).toBe('code-invalid')
  })
})

describe('a malformed Authorization', () => {
  /** The status line of a request whose header lines are bytes of our choosing. */
  function statusOf(lines: readonly string[]): Promise<number> {
    const { hostname, port } = new URL(edge.origin)
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => {
        const head = ['GET /v1/auth/session HTTP/1.1', `Host: ${hostname}`, 'Connection: close', ...lines, '', '']
        socket.write(Buffer.from(head.join('\r\n'), 'latin1'))
      })
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])))
    })
  }

  test.each([
    ['nothing after the scheme', () => ['Authorization: Bearer']],
    ['a percent sign', () => ['Authorization: Bearer %']],
    ['half an escape', () => ['Authorization: Bearer %E0%A4%A']],
    ['an empty value', () => ['Authorization:']],
    ['another scheme', () => ['Authorization: Basic Zm9vOmJhcg==']],
    ['a token without a scheme', () => [`Authorization: ${mine.accessToken}`]],
    ['a scheme that runs on', () => [`Authorization: BearerX ${mine.accessToken}`]],
    ['two tokens in one', () => [`Authorization: Bearer ${mine.accessToken}, Bearer ${mine.accessToken}`]],
    ['two headers', () => [`Authorization: Bearer ${mine.accessToken}`, `Authorization: Bearer ${mine.accessToken}`]],
    ['something behind', () => [`Authorization: Bearer ${mine.accessToken} x`]],
    ['characters of no token', () => ['Authorization: Bearer \xe9\xff.\xe9.\xe9']],
    ['three dots', () => ['Authorization: Bearer ...']],
    ['a long token', () => [`Authorization: Bearer ${'a'.repeat(7_000)}.b.c`]],
    ['dots without end', () => [`Authorization: Bearer ${'.'.repeat(7_000)}`]],
  ])('(%s) answers 401', async (_, lines) => {
    expect(await statusOf(lines())).toBe(401)
  })

  test('of a megabyte is turned away before or by us, and the Worker lives on', async () => {
    expect([0, 400, 401, 413, 431, Number.NaN]).toContain(await statusOf([`Authorization: Bearer ${'a'.repeat(1_048_576)}`]).catch(() => 0))
    expect((await session(mine.accessToken)).status).toBe(200)
  })
})
