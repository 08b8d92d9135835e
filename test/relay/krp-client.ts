import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { importJWK, SignJWT } from 'jose'
import {
  type ControlBody,
  type ControlName,
  decodeControl,
  encodeControl,
  GRANT_TOKEN_TYP,
  type GrantClaims,
  type GrantRequest,
  isControl,
  LINK_TOKEN_TYP,
  type LinkClaims,
} from '../../src/contract/krp.ts'
import { createFrameDecoder, decodeData, encodeData, encodeFrame, type FrameName } from '../../src/contract/krp-frame.ts'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { type Handshake, sealAad, sealCredential, verifyRelayProof } from '../../src/contract/seal.ts'
import type { generateSigningKey } from '../../src/relay/keys.ts'

export type DialerKey = ReturnType<typeof generateSigningKey>

/** Everything one link needs; each part can be bent by a test. */
export interface LinkOptions {
  readonly port: number
  readonly relayId: string
  /** `x` of the relay's pinned signing key. */
  readonly relayX: string
  readonly dialer: DialerKey
  readonly epoch?: number
  readonly sub?: string
  readonly tenant?: string
  readonly caps?: Partial<LinkClaims['caps']>
  readonly claims?: Partial<Record<keyof LinkClaims, unknown>>
  readonly header?: Record<string, unknown>
  readonly traceparent?: string
  readonly tls?: { readonly ca: string }
  /** Splits everything that is sent into chunks of this many bytes. */
  readonly chunkBytes?: number
}

/** A frame as a test sees it. */
export interface Seen {
  readonly name: FrameName
  readonly stream: number
  readonly body: unknown
  readonly bytes: Uint8Array
}

const unique = (): string => randomBytes(12).toString('hex')

/** A socket that speaks frames and remembers what came. */
export interface Wire {
  readonly socket: Socket
  readonly seen: Seen[]
  readonly events: EventEmitter
  raw(bytes: Uint8Array): void
  control<N extends ControlName>(name: N, stream: number, body: ControlBody<N>): void
  /** A control frame whose body the types would refuse. */
  odd(name: ControlName, stream: number, body: unknown): void
  /** Looks again after every frame, until `look` finds something. */
  until<T>(look: () => T | undefined | false, ms?: number): Promise<T>
  untilFrame<N extends ControlName>(name: N, stream: number): Promise<ControlBody<N>>
  /** The code of ERR, once the socket is closed. */
  untilClosed(): Promise<string | undefined>
  isClosed(): boolean
  cut(): void
}

function createWire(socket: Socket, chunkBytes: number | undefined): Wire {
  const seen: Seen[] = []
  const events = new EventEmitter().setMaxListeners(0)
  const raw = (bytes: Uint8Array): void => {
    const size = chunkBytes ?? bytes.length
    for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, at + size))
  }
  const decoder = createFrameDecoder((frame) => {
    const body = isControl(frame.name) ? decodeControl(frame.name, frame.payload) : undefined
    const one = { name: frame.name, stream: frame.stream, body, bytes: frame.payload }
    seen.push(one)
    if (frame.name === 'PING') raw(encodeControl('PONG', 0, body as ControlBody<'PONG'>))
    events.emit('frame', one, body === undefined)
    events.emit('change')
  })
  socket.on('data', (chunk: Buffer) => decoder.push(chunk))
  socket.on('error', () => undefined)
  socket.on('close', () => events.emit('change'))
  const until = async <T>(look: () => T | undefined | false, ms = 15_000): Promise<T> => {
    const signal = AbortSignal.timeout(ms)
    for (;;) {
      const found = look()
      if (found !== undefined && found !== false) return found
      await once(events, 'change', { signal }).catch(() => {
        throw new Error(
          `nothing after ${ms} ms; saw ${seen.slice(-12).map((one) => `${one.name}${JSON.stringify(one.body ?? one.bytes.length)}`)}`,
        )
      })
    }
  }
  return {
    socket,
    seen,
    events,
    raw,
    until,
    control: (name, stream, body) => raw(encodeControl(name, stream, body)),
    odd: (name, stream, body) => raw(encodeFrame(name, stream, new TextEncoder().encode(JSON.stringify(body)))),
    untilFrame: <N extends ControlName>(name: N, stream: number) =>
      until(() => seen.find((one) => one.name === name && one.stream === stream)?.body as ControlBody<N> | undefined),
    async untilClosed() {
      await until(() => socket.closed)
      return (seen.find((one) => one.name === 'ERR')?.body as ControlBody<'ERR'> | undefined)?.code
    },
    isClosed: () => socket.closed,
    cut: () => void socket.destroy(),
  }
}

/** Opens TCP or TLS, nothing more. */
export async function openWire(options: Pick<LinkOptions, 'port' | 'tls' | 'chunkBytes'>): Promise<Wire> {
  const socket =
    options.tls === undefined
      ? connect(options.port, '127.0.0.1')
      : connectTls({ port: options.port, host: '127.0.0.1', servername: 'localhost', ca: options.tls.ca })
  const wire = createWire(socket, options.chunkBytes)
  await once(socket, options.tls === undefined ? 'connect' : 'secureConnect')
  socket.setNoDelay(true)
  return wire
}

/** HELLO and CHALLENGE. */
export async function greet(
  wire: Wire,
  traceparent?: string,
): Promise<{ challenge: ControlBody<'CHALLENGE'>; hello: Uint8Array; nonce: string }> {
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')
  const hello = encodeControl('HELLO', 0, { version: 1, nonce, ...(traceparent === undefined ? {} : { traceparent }) })
  wire.raw(hello)
  const answer = await wire.until(() => wire.seen.find(({ name }) => name === 'CHALLENGE') ?? (wire.isClosed() ? 'closed' : undefined))
  if (answer === 'closed') throw new Error(`refused: ${await wire.untilClosed()}`)
  return { challenge: answer.body as ControlBody<'CHALLENGE'>, hello, nonce }
}

/** A signed token; `claims` and `header` override anything. */
export async function signToken(
  dialer: DialerKey,
  typ: string,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  const key = await importJWK(dialer.privateJwk, 'EdDSA')
  return new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ, kid: dialer.publicJwk.kid, ...header }).sign(key)
}

/** Claims of a good link token. */
export function linkClaims(options: LinkOptions, nonce: string): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: 'parvis',
    aud: options.relayId,
    sub: options.sub ?? 'object-1',
    tenant: options.tenant ?? 'org_1',
    jti: unique(),
    nonce,
    epoch: options.epoch ?? 1,
    iat: now,
    exp: now + 30,
    caps: { hosts: ['127.0.0.1'], ports: [22], streamsMax: 32, ...options.caps },
    ...options.claims,
  }
}

/** An authenticated link that has checked the relay's proof. */
export interface TestLink {
  readonly wire: Wire
  readonly options: LinkOptions
  readonly challenge: ControlBody<'CHALLENGE'>
  /** A grant and a sealed credential in an OPEN. */
  open(request: GrantRequest, credential?: RelayCredential, bend?: OpenBend): Promise<TestStream>
  attach(shell: string, fromOffset: number, bend?: Pick<OpenBend, 'creditBytes' | 'isSilent'>): TestStream
}
export interface OpenBend {
  readonly shell?: string
  readonly creditBytes?: number
  readonly claims?: Partial<Record<keyof GrantClaims, unknown>>
  readonly grant?: string
  readonly sealFor?: { readonly shell?: string; readonly host?: string; readonly jti?: string }
  readonly traceparent?: string
  /** The stream acknowledges nothing and gives no credit by itself. */
  readonly isSilent?: boolean
}

export async function openLink(options: LinkOptions): Promise<TestLink> {
  const wire = await openWire(options)
  const { challenge, hello, nonce } = await greet(wire, options.traceparent)
  const auth = encodeControl('AUTH', 0, {
    token: await signToken(options.dialer, LINK_TOKEN_TYP, linkClaims(options, challenge.nonce), options.header),
  })
  wire.raw(auth)
  const ready = await wire.until(() => wire.seen.find((seen) => seen.name === 'READY') ?? (wire.isClosed() ? 'closed' : undefined))
  if (ready === 'closed') throw new Error(`refused: ${await wire.untilClosed()}`)
  const handshake: Handshake = { dialerNonce: nonce, hello, challenge: encodeFrame('CHALLENGE', 0, wire.seen[0]!.bytes), auth }
  if (!(await verifyRelayProof(options.relayX, handshake, (ready.body as ControlBody<'READY'>).proof)))
    throw new Error('the relay did not prove itself')
  let streamId = 0
  return {
    wire,
    options,
    challenge,
    async open(request, credential, bend = {}) {
      const base = linkClaims(options, challenge.nonce)
      const { caps: _caps, ...rest } = base
      const claims: Record<string, unknown> = { ...rest, jti: unique(), shell: bend.shell ?? `shl_${unique()}`, request, ...bend.claims }
      const grant = bend.grant ?? (await signToken(options.dialer, GRANT_TOKEN_TYP, claims))
      const sealed =
        credential === undefined || request.kind === 'scan'
          ? undefined
          : await seal(
              challenge,
              { shell: String(claims['shell']), jti: String(claims['jti']), host: request.host, ...bend.sealFor },
              { request, credential },
            )
      // Only now, because ids must grow in the order of OPENs.
      streamId += 1
      const id = streamId
      const stream = createTestStream(wire, { id, shell: String(claims['shell']), isSilent: bend.isSilent === true })
      const open = { grant, creditBytes: bend.creditBytes ?? 256 * 1024, ...(sealed === undefined ? {} : { credential: sealed }) }
      wire.control('OPEN', id, { ...open, ...(bend.traceparent === undefined ? {} : { traceparent: bend.traceparent }) })
      return stream
    },
    attach(shell, fromOffset, bend = {}) {
      streamId += 1
      const stream = createTestStream(wire, { id: streamId, shell, isSilent: bend.isSilent === true, fromOffset })
      wire.control('ATTACH', streamId, { shell, fromOffset, creditBytes: bend.creditBytes ?? 256 * 1024 })
      return stream
    },
  }
}

async function seal(
  challenge: ControlBody<'CHALLENGE'>,
  binding: { shell: string; jti: string; host: string },
  { request, credential }: { request: Exclude<GrantRequest, { kind: 'scan' }>; credential: RelayCredential },
) {
  const aad = await sealAad({
    ...binding,
    port: request.port,
    pins: 'pins' in request ? request.pins : [],
    relayKeyId: challenge.sealingKey.kid,
  })
  return sealCredential(challenge.sealingKey, aad, new TextEncoder().encode(JSON.stringify(credential)))
}

/** One stream: checks that offsets neither skip nor repeat, acknowledges and credits what came. */
export interface TestStream {
  readonly id: number
  readonly shell: string
  outOffset(): number
  inOffset(): number
  /** Input goes on here, after ATTACHED. */
  setInOffset(offset: number): void
  acknowledge(): void
  credit(bytes: number): void
  send(text: string | Uint8Array): void
  endInput(): void
  close(): void
  stdout(): string
  stderr(): string
  outBytes(): Buffer
  /** OPENED, or throws the OPEN_FAIL code. */
  opened(): Promise<ControlBody<'OPENED'>>
  failed(): Promise<ControlBody<'OPEN_FAIL'>['code']>
  attached(): Promise<ControlBody<'ATTACHED'>>
  untilOutput(part: string): Promise<string>
  /** EXIT and CLOSE, answered with CLOSE. */
  exit(): Promise<ControlBody<'EXIT'>>
}

interface StreamParts {
  readonly id: number
  readonly shell: string
  readonly isSilent: boolean
  readonly fromOffset?: number
}

function createTestStream(wire: Wire, { id, shell, isSilent, fromOffset = 0 }: StreamParts): TestStream {
  const out: Buffer[] = []
  const err: Buffer[] = []
  let outOffset = fromOffset
  let inOffset = 0
  const acknowledge = (): void => wire.control('ACK', id, { offset: outOffset })
  const credit = (bytes: number): void => wire.control('CREDIT', id, { bytes })
  const find = <N extends ControlName>(name: N) =>
    wire.seen.find((one) => one.name === name && one.stream === id)?.body as ControlBody<N> | undefined
  wire.events.on('frame', (one: Seen, isData: boolean) => {
    if (one.stream !== id || !isData) return
    const { offset, bytes } = decodeData(one.bytes)
    if (offset !== outOffset) throw new Error(`output skipped or repeated: expected ${outOffset}, got ${offset}`)
    outOffset += bytes.length
    ;(one.name === 'DATA' ? out : err).push(Buffer.from(bytes))
    if (isSilent) return
    acknowledge()
    credit(bytes.length)
  })
  const close = (): void => wire.control('CLOSE', id, { reason: 'dialer' })
  const stdout = (): string => Buffer.concat(out).toString('utf8')
  const answer = async () => {
    const found = await wire.until(() => find('OPENED') ?? find('OPEN_FAIL') ?? (wire.isClosed() ? 'closed' : undefined))
    if (found === 'closed') throw new Error(`link closed: ${await wire.untilClosed()}`)
    return found
  }
  return {
    id,
    shell,
    acknowledge,
    credit,
    close,
    stdout,
    outOffset: () => outOffset,
    inOffset: () => inOffset,
    setInOffset(offset) {
      inOffset = offset
    },
    send(text) {
      const bytes = typeof text === 'string' ? Buffer.from(text) : text
      wire.raw(encodeData('DATA', id, { offset: inOffset, bytes }))
      inOffset += bytes.length
    },
    endInput: () => wire.control('EOF', id, { offset: inOffset }),
    stderr: () => Buffer.concat(err).toString('utf8'),
    outBytes: () => Buffer.concat(out),
    async opened() {
      const found = await answer()
      if ('code' in found) throw new Error(found.code)
      return found
    },
    async failed() {
      const found = await answer()
      if (!('code' in found)) throw new Error('it opened')
      close()
      return found.code
    },
    attached: () => wire.untilFrame('ATTACHED', id),
    async untilOutput(part) {
      await wire.until(() => stdout().includes(part))
      return stdout()
    },
    async exit() {
      const exit = await wire.untilFrame('EXIT', id)
      if (exit.offset !== outOffset) throw new Error(`EXIT came at ${exit.offset}, output at ${outOffset}`)
      await wire.untilFrame('CLOSE', id)
      close()
      return exit
    },
  }
}
