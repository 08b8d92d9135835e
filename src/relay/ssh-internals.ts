import { createSecretKey } from 'node:crypto'
import { createRequire } from 'node:module'
import { Duplex } from 'node:stream'
import ssh2, { type Client, type ClientChannel } from 'ssh2'
import * as z from 'zod'

/**
 * All that the relay takes of ssh2 beyond its API. ssh2 is made for hosts one trusts: it loops without end over packets of no bytes, reads every
 * key a host announces, calls sent what waits in memory for new keys, and knows no user certificates. Each use was read in the source of this
 * one version; the relay does not start on another.
 */
const SSH2_VERSION = '1.17.0'

const require = createRequire(import.meta.url)
const { version } = require('ssh2/package.json') as { readonly version: string }
// Waits out a key exchange that is under way; ssh2 exports it to nobody.
const { sendPacket } = require('ssh2/lib/protocol/utils.js') as { readonly sendPacket: (protocol: Protocol, packet: Buffer) => void }

const method = <F>() => z.custom<F>((value) => typeof value === 'function')
const Protocol = z.object({
  _strictMode: z.boolean().optional(),
  _authenticated: z.boolean(),
  _kexinit: z.instanceof(Buffer).optional(),
  _kex: z.object({ sessionID: z.instanceof(Buffer).optional() }).optional(),
  _authsQueue: z.array(z.string()),
  _packetRW: z.object({ write: z.object({ alloc: method(), finalize: method(), allocStart: z.number() }) }),
  _onPayload: method(),
  authPK: method(),
  signal: method(),
  requestFailure: method(),
})
interface Protocol {
  /** Whether strict key exchange was negotiated. */
  readonly _strictMode: boolean | undefined
  readonly _authenticated: boolean
  /** Set while keys are exchanged. */
  _kexinit: Buffer | undefined
  readonly _kex: { readonly sessionID: Buffer } | undefined
  readonly _authsQueue: string[]
  readonly _packetRW: { readonly write: { readonly allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer } }
  /** Takes each message that is no key exchange. */
  _onPayload(payload: Buffer): unknown
  authPK(username: string): void
  signal(channel: number, name: string): void
  requestFailure(): void
}

function protocolOf(client: Client): Protocol {
  const protocol: unknown = Reflect.get(client, '_protocol')
  if (!Protocol.safeParse(protocol).success) throw new Error('ssh2 is not as the relay knows it')
  return protocol as Protocol
}

/** @throws Error of one sentence when ssh2 is not the one that was read */
export function checkSsh2(installed: string = version): void {
  if (installed !== SSH2_VERSION)
    throw new Error(`The relay knows ssh2 ${SSH2_VERSION}, not ${installed}: its internals must be read again.`)
  const client = new ssh2.Client()
  const sock = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
  client.on('error', () => undefined)
  client.connect({ sock, username: 'nobody', readyTimeout: 0 })
  const { _onPayload } = protocolOf(client)
  guardProtocol(client, () => undefined)
  const isGuarded = protocolOf(client)._onPayload !== _onPayload
  sock.destroy()
  if (!isGuarded) throw new Error('ssh2 does not let the relay hear what a host says.')
}

/** Whether strict key exchange was negotiated. */
export const isStrict = (client: Client): boolean => protocolOf(client)._strictMode === true

/** Sends a signal, also after the end of input: ssh2's own `signal` does nothing then, silently, and the remote process would live on. */
export function signalChannel(client: Client, channel: ClientChannel, name: string): void {
  const { id, state } = z.object({ id: z.int(), state: z.string() }).parse(Reflect.get(channel, 'outgoing'))
  if (state === 'open' || state === 'eof') protocolOf(client).signal(id, name)
}

/** Replaces the request by public key of this client: `payloadFor` makes the message, signature and all. */
export function replacePublicKeyRequest(client: Client, payloadFor: (username: string, sessionId: Buffer) => Buffer): void {
  const protocol = protocolOf(client)
  protocol.authPK = (username) => {
    if (protocol._kex === undefined) throw new Error('no login before a key exchange')
    const payload = payloadFor(username, protocol._kex.sessionID)
    const { write } = protocol._packetRW
    const packet = write.alloc(payload.length)
    packet.set(payload, write.allocStart)
    protocol._authsQueue.push('publickey')
    sendPacket(protocol, write.finalize(packet))
  }
}

/** The names of keys in the deciphers of ssh2. */
const KEYS = ['_decipherKey', '_macKey', '_decKeyMain', '_decKeyPktLen']

/**
 * Makes key objects of the keys by which ssh2 reads packets. It gives them to Node anew with each packet, and to find out that plain bytes are no key
 * object Node throws and catches two errors, which takes longer than decrypting a packet.
 */
export function hastenPackets(client: Client): void {
  const decipher = Object(Reflect.get(protocolOf(client), '_decipher'))
  for (const name of KEYS) {
    const key: unknown = Reflect.get(decipher, name)
    if (Buffer.isBuffer(key)) Reflect.set(decipher, name, createSecretKey(key))
  }
}

/** What ssh2 does not tell of a connection. */
export interface Wiretap {
  /** Holds back what is written to a channel while keys are exchanged, until it closes. */
  hold(channel: Duplex): void
  /** Calls back once, when a channel is closed: whether the host said so, read or unread what it said before, or its connection was lost. */
  onClosed(channel: Duplex, listener: (isTold: boolean) => void): void
}

/** RFC 4254 §5.1 has no lower bound; OpenSSH offers 32 KiB, small devices some. Below this a host only makes work. */
const PACKET_BYTES_MIN = 1_024
/** New keys are ready in one exchange of messages; a host that takes longer does not mean to have them. */
const EXCHANGE_MS_MAX = 30_000
/** Message numbers of RFC 4250 §4.1. */
const AUTHENTICATION = { first: 50, last: 79 }
const GLOBAL_REQUEST = 80
const CHANNEL_OPEN_CONFIRMATION = 91
const CHANNEL_CLOSE = 97

/** Stands between what a host says and what ssh2 makes of it; `cut` breaks the connection. */
export function guardProtocol(client: Client, cut: () => void): Wiretap {
  const protocol = protocolOf(client)
  const take = protocol._onPayload.bind(protocol)
  const awaited = new Map<number, (isTold: boolean) => void>()
  client.once('close', () => {
    for (const listener of awaited.values()) listener(false)
    awaited.clear()
  })
  let isCut = false
  // From here on every decipher is given this one; what is still in the chunk after a cut is dropped too.
  protocol._onPayload = (payload) => {
    if (isCut) return undefined
    const type = payload[0]
    if (type === GLOBAL_REQUEST) return answerGlobalRequest(protocol, payload)
    if (isHarmful(protocol, payload)) {
      isCut = true
      return cut()
    }
    const went = take(payload)
    if (type === CHANNEL_CLOSE && payload.length >= 5) tellClosed(awaited, payload.readUInt32BE(1))
    return went
  }
  return {
    hold: watchExchange(client, protocol, cut),
    onClosed: (channel, listener) => void awaited.set(incomingOf(channel).id, listener),
  }
}

const incomingOf = (channel: Duplex) => z.object({ id: z.int() }).parse(Reflect.get(channel, 'incoming'))

function tellClosed(awaited: Map<number, (isTold: boolean) => void>, id: number): void {
  awaited.get(id)?.(true)
  awaited.delete(id)
}

function isHarmful(protocol: Protocol, payload: Buffer): boolean {
  const type = payload[0] ?? 0
  // uint32 recipient, sender, window and packet size; a shorter one is ssh2's to refuse.
  if (type === CHANNEL_OPEN_CONFIRMATION) return payload.length >= 17 && payload.readUInt32BE(13) < PACKET_BYTES_MIN
  // Nobody asks who we are after letting us in.
  return protocol._authenticated && type >= AUTHENTICATION.first && type <= AUTHENTICATION.last
}

/** The relay grants no host anything, so none is read beyond whether it wants to hear so: not the keys it announces, as often as it likes. */
function answerGlobalRequest(protocol: Protocol, payload: Buffer): void {
  const wantsReply = payload.length >= 5 && payload[5 + payload.readUInt32BE(1)]
  if (wantsReply) protocol.requestFailure()
}

function watchExchange(client: Client, protocol: Protocol, cut: () => void): Wiretap['hold'] {
  const held = new Set<Duplex>()
  let kexinit = protocol._kexinit
  let deadline: NodeJS.Timeout | undefined
  client.once('close', () => clearTimeout(deadline))
  Object.defineProperty(protocol, '_kexinit', {
    get: () => kexinit,
    set(value: Buffer | undefined) {
      const hasBegun = kexinit === undefined && value !== undefined
      kexinit = value
      if (hasBegun) {
        for (const channel of held) channel.cork()
        // The first one is bounded with the login.
        if (protocol._kex !== undefined) deadline = setTimeout(cut, EXCHANGE_MS_MAX)
      } else if (value === undefined) {
        clearTimeout(deadline)
        // ssh2 sends what waited for new keys in this turn.
        setImmediate(() => kexinit === undefined && release(held))
      }
    },
  })
  return (channel) => {
    held.add(channel)
    if (kexinit !== undefined) channel.cork()
    channel.once('close', () => held.delete(channel))
  }
}

function release(held: ReadonlySet<Duplex>): void {
  for (const channel of held) while (channel.writableCorked > 0) channel.uncork()
}
