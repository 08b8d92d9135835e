import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeControl, GRANT_TOKEN_TYP, LINK_TOKEN_TYP } from '../../src/contract/krp.ts'
import { generateDemoHostKey, startDemoHost } from '../../src/dev/demo-host.ts'
import { generateSigningKey } from '../../src/relay/keys.ts'
import { createReplayCache } from '../../src/relay/tokens.ts'
import { execRequest, RELAY_ID, startTestRelay, type Target, type TestRelay } from './harness.ts'
import { greet, type LinkOptions, linkClaims, openWire, signToken, type TestLink } from './krp-client.ts'

const now = (): number => Math.floor(Date.now() / 1000)
const password = { kind: 'password', password: 'a-demo-password' } as const

describe('who may speak to the relay', () => {
  let relay: TestRelay
  let demo: Awaited<ReturnType<typeof startDemoHost>>
  let target: Target
  beforeAll(async () => {
    demo = await startDemoHost({ port: 0, password: password.password, hostKey: generateDemoHostKey() })
    relay = await startTestRelay([demo.port])
    target = {
      host: '127.0.0.1',
      port: demo.port,
      user: 'demo',
      privateKey: '',
      hostKeys: [{ type: 'ssh-ed25519', fingerprint: demo.hostKeyFingerprint }],
    }
  })
  afterAll(async () => {
    await relay.relay.close()
    await demo.close()
  })

  /** Greets, sends this as AUTH, and tells how the relay ends it. */
  const authWith = async (makeToken: (nonce: string, options: LinkOptions) => Promise<string> | string): Promise<string | undefined> => {
    const options = relay.options()
    const wire = await openWire(options)
    const { challenge } = await greet(wire)
    wire.control('AUTH', 0, { token: await makeToken(challenge.nonce, options) })
    const code = await wire.untilClosed()
    expect(wire.seen.some(({ name }) => name === 'READY')).toBe(false)
    return code
  }
  const bent = (claims: LinkOptions['claims'], header?: Record<string, unknown>) => (nonce: string, options: LinkOptions) =>
    signToken(options.dialer, LINK_TOKEN_TYP, linkClaims({ ...options, ...(claims === undefined ? {} : { claims }) }, nonce), header)

  test('a good token opens a link, and the relay proves itself', async () => {
    const link = await relay.link()
    expect(link.challenge.relay).toBe(RELAY_ID)
    link.wire.cut()
  })

  test('a relay with another key than the pinned one is noticed', async () => {
    await expect(relay.link({ relayX: generateSigningKey().publicJwk.x })).rejects.toThrow('did not prove itself')
  })

  test.each([
    ['another audience', { aud: 'relay-other' }],
    ['several audiences', { aud: [RELAY_ID] }],
    ['another issuer', { iss: 'someone' }],
    ['expired', { iat: now() - 100, exp: now() - 70 }],
    ['from the future', { iat: now() + 100, exp: now() + 130 }],
    ['living too long', { exp: now() + 3_600 }],
    ['never expiring', { exp: undefined }],
    ['issued never', { iat: undefined }],
    ['of another link', { nonce: 'n'.repeat(43) }],
    ['without a nonce', { nonce: undefined }],
    ['without an id', { jti: undefined }],
    ['without a subject', { sub: undefined }],
    ['with an epoch of zero', { epoch: 0 }],
    ['with an unknown claim', { admin: true }],
    ['with a strange tenant', { tenant: 'a\0b' }],
  ] as [string, LinkOptions['claims']][])('a token %s is refused', async (_, claims) => {
    expect(await authWith(bent(claims))).toBe('auth-refused')
  })

  test('a token of another type, of an unknown key, or signed by a stranger is refused', async () => {
    expect(await authWith(bent({}, { typ: GRANT_TOKEN_TYP }))).toBe('auth-refused')
    expect(await authWith(bent({}, { typ: undefined }))).toBe('auth-refused')
    expect(await authWith(bent({}, { kid: 'unknown' }))).toBe('auth-refused')
    const stranger = generateSigningKey()
    const disguised = { privateJwk: stranger.privateJwk, publicJwk: { ...stranger.publicJwk, kid: relay.dialer.publicJwk.kid } }
    expect(await authWith((nonce, options) => signToken(disguised, LINK_TOKEN_TYP, linkClaims(options, nonce)))).toBe('auth-refused')
  })

  test('no algorithm, and an HMAC with the public key, are refused', async () => {
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { kid, x } = relay.dialer.publicJwk
    const unsigned = (nonce: string, options: LinkOptions, alg: string): string =>
      `${encode({ alg, typ: LINK_TOKEN_TYP, kid })}.${encode(linkClaims(options, nonce))}`
    expect(await authWith((nonce, options) => `${unsigned(nonce, options, 'none')}.AA`)).toBe('auth-refused')
    const hmac = (text: string): string => createHmac('sha256', Buffer.from(x, 'base64url')).update(text).digest('base64url')
    expect(await authWith((nonce, options) => `${unsigned(nonce, options, 'HS256')}.${hmac(unsigned(nonce, options, 'HS256'))}`)).toBe(
      'auth-refused',
    )
    expect(await authWith(() => 'a.b.c')).toBe('auth-refused')
  })

  test('a used token opens no second link', async () => {
    let used = ''
    const first = await relay.link()
    const options = relay.options()
    used = await signToken(options.dialer, LINK_TOKEN_TYP, linkClaims(options, first.challenge.nonce))
    expect(await authWith(() => used)).toBe('auth-refused')
    first.wire.cut()
  })

  test('a replay cache forgets nothing before its time, and refuses when it is full', () => {
    let clock = 1_000
    const cache = createReplayCache(() => clock, 3)
    expect([cache.take('a', 1_030), cache.take('a', 1_030), cache.take('b', 1_030), cache.take('c', 1_060)]).toEqual([
      true,
      false,
      true,
      true,
    ])
    expect(cache.take('d', 1_030)).toBe(false)
    clock = 1_041
    expect([cache.take('d', 1_070), cache.take('c', 1_060)]).toEqual([true, false])
  })

  test('frames before the handshake, and out of its order, end the link', async () => {
    const early = await openWire(relay.options())
    early.odd('OPEN', 1, {})
    expect(await early.untilClosed()).toBe('frame-order')
    const twice = await openWire(relay.options())
    await greet(twice)
    twice.control('HELLO', 0, { version: 1, nonce: 'n'.repeat(43) })
    expect(await twice.untilClosed()).toBe('frame-order')
    const hasty = await openWire(relay.options())
    const { challenge } = await greet(hasty)
    hasty.raw(
      Buffer.concat([
        encodeControl('AUTH', 0, { token: await bent({})(challenge.nonce, relay.options()) }),
        encodeControl('PING', 0, { id: 1 }),
      ]),
    )
    expect(await hasty.untilClosed()).toBe('frame-order')
  })

  test('before the handshake a frame is small', async () => {
    const wire = await openWire(relay.options())
    wire.odd('HELLO', 0, { version: 1, nonce: 'n'.repeat(43), more: 'x'.repeat(17_000) })
    expect(await wire.untilClosed()).toBe('frame-oversize')
  })

  describe('a grant', () => {
    let link: TestLink
    beforeAll(async () => {
      link = await relay.link({ sub: 'object-grants' })
    })
    const failure = async (bend: Parameters<TestLink['open']>[2], request = execRequest(target, 'whoami')) =>
      (await link.open(request, password, bend)).failed()

    test.each([
      ['of another object', { sub: 'object-other' }],
      ['of another organisation', { tenant: 'org_2' }],
      ['of another link', { nonce: 'n'.repeat(43) }],
      ['of another epoch', { epoch: 99_999 }],
      ['for another relay', { aud: 'relay-other' }],
      ['that expired', { iat: now() - 100, exp: now() - 70 }],
      ['with a request it cannot make', { request: { kind: 'sudo' } }],
    ])('%s opens nothing', async (_, claims) => {
      expect(await failure({ claims })).toBe('grant-invalid')
    })

    test('the token of the link is no grant', async () => {
      const grant = await signToken(relay.dialer, LINK_TOKEN_TYP, linkClaims(link.options, link.challenge.nonce))
      expect(await failure({ grant })).toBe('grant-invalid')
    })

    test('is good once', async () => {
      const jti = 'j'.repeat(20)
      const first = await link.open(execRequest(target, 'whoami'), password, { claims: { jti } })
      await first.opened()
      await first.exit()
      expect(await failure({ claims: { jti } })).toBe('grant-replayed')
    })

    test('reaches no further than its link', async () => {
      const narrow = await relay.link({ sub: 'object-narrow', caps: { hosts: ['a.example'], ports: [demo.port] } })
      expect(await (await narrow.open(execRequest(target, 'whoami'), password)).failed()).toBe('grant-exceeds-link')
      narrow.wire.cut()
      const other = await relay.link({ sub: 'object-narrow', caps: { hosts: ['127.0.0.1'], ports: [1] } })
      expect(await (await other.open(execRequest(target, 'whoami'), password)).failed()).toBe('grant-exceeds-link')
      other.wire.cut()
    })

    test('opens no more streams than its link may have', async () => {
      const narrow = await relay.link({ sub: 'object-streams', caps: { streamsMax: 1 } })
      const first = await narrow.open(execRequest(target, 'sleep 20'), password)
      await first.opened()
      expect(await (await narrow.open(execRequest(target, 'whoami'), password)).failed()).toBe('too-many-streams')
      expect(await narrow.attach(first.shell, 0).failed()).toBe('too-many-streams')
      first.close()
      await narrow.wire.untilFrame('CLOSE', first.id)
      const next = await narrow.open(execRequest(target, 'whoami'), password)
      await next.opened()
      await next.exit()
      narrow.wire.cut()
    })

    test('cannot take the name of a living shell', async () => {
      const first = await link.open(execRequest(target, 'sleep 20'), password, { shell: 'shl_twice' })
      await first.opened()
      expect(await failure({ shell: 'shl_twice' })).toBe('shell-exists')
      expect(await link.attach('shl_twice', 0).failed()).toBe('shell-exists')
      first.close()
      await link.wire.untilFrame('CLOSE', first.id)
    })

    test('with a credential sealed for another shell, host or grant is refused before anything is dialled', async () => {
      const dialled = relay.events('shell-opened').length
      expect(await failure({ sealFor: { shell: 'shl_other' } })).toBe('credential-invalid')
      expect(await failure({ sealFor: { host: '127.0.0.2' } })).toBe('credential-invalid')
      expect(await failure({ sealFor: { jti: 'other' } })).toBe('credential-invalid')
      expect(await (await link.open(execRequest(target, 'whoami'))).failed()).toBe('credential-invalid')
      expect(await (await link.open(execRequest(target, 'whoami'), { kind: 'private-key', privateKey: 'no key' })).failed()).toBe(
        'credential-invalid',
      )
      expect(relay.events('shell-opened').length).toBe(dialled)
    })
  })
})

describe('how many may speak', () => {
  test('shells are bounded for the relay and for each organisation', async () => {
    const demo = await startDemoHost({ port: 0, password: password.password, hostKey: generateDemoHostKey() })
    const relay = await startTestRelay([demo.port], { RELAY_SHELLS_MAX: '3', RELAY_SHELLS_PER_TENANT_MAX: '2' })
    const target: Target = {
      host: '127.0.0.1',
      port: demo.port,
      user: 'demo',
      privateKey: '',
      hostKeys: [{ type: 'ssh-ed25519', fingerprint: demo.hostKeyFingerprint }],
    }
    const one = await relay.link({ sub: 'a', tenant: 'org_1' })
    const two = await relay.link({ sub: 'b', tenant: 'org_2' })
    const open = (link: TestLink) => link.open(execRequest(target, 'sleep 20'), password)
    const streams = [await open(one), await open(one)]
    for (const stream of streams) await stream.opened()
    expect(await (await open(one)).failed()).toBe('too-many-shells')
    await (await open(two)).opened()
    expect(await (await open(two)).failed()).toBe('too-many-shells')
    const ready = await fetch(`http://127.0.0.1:${relay.relay.healthPort}/health/ready`)
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'full', links: 2, shells: 3 }])
    await relay.relay.close()
    await demo.close()
  })
})

test('strangers from many addresses take no place of those who prove themselves', async () => {
  const relay = await startTestRelay([22])
  const idle = Array.from({ length: 20 }, (_, i) =>
    Array.from({ length: 64 }, () => connect({ port: relay.relay.port, host: '127.0.0.1', localAddress: `127.0.0.${i + 2}` })),
  ).flat()
  for (const socket of idle) socket.on('error', () => undefined)
  try {
    await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))))
    const link = await relay.link()
    link.wire.cut()
  } finally {
    for (const socket of idle) socket.destroy()
    await relay.relay.close()
  }
})
