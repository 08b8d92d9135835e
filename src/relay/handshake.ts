import { randomBytes, sign } from 'node:crypto'
import { type ControlBody, decodeControl, encodeControl, KRP_VERSION, type LinkClaims } from '../contract/krp.ts'
import { encodeFrame, type Frame, KrpError } from '../contract/krp-frame.ts'
import { relayProofInput, transcriptOf } from '../contract/seal.ts'
import type { RelayConfig } from './config.ts'
import { type ReplayCache, type TokenTrust, verifyLinkToken } from './tokens.ts'
import { sha256 } from './unseal.ts'

/** What the handshake needs of the relay. */
export interface HandshakeDeps {
  readonly config: Pick<RelayConfig, 'id' | 'signing' | 'sealing' | 'limits'>
  readonly trust: TokenTrust
  readonly replay: ReplayCache
  /** How full the relay is now, and whether it is about to leave. */
  readonly standing: () => Pick<ControlBody<'CHALLENGE'>, 'load' | 'isDraining'>
}

/** The relay's half of the mutual authentication of one link, in two steps. */
export interface Handshake {
  /** Answers HELLO. @throws KrpError */
  challenge(hello: Frame): { readonly challenge: Uint8Array; readonly traceparent: string | undefined }
  /** Checks AUTH and proves the relay. @throws KrpError auth-refused, whatever was wrong with the token */
  authenticate(auth: Frame): Promise<{ readonly claims: LinkClaims; readonly ready: Uint8Array }>
}

/** A fresh nonce makes every handshake its own: a token or a proof of another link fits nowhere. */
export function createHandshake({ config, trust, replay, standing }: HandshakeDeps): Handshake {
  const nonce = randomBytes(32).toString('base64url')
  const { kty, crv, x, kid } = config.sealing
  let hello: { readonly nonce: string; readonly frame: Uint8Array } = { nonce: '', frame: new Uint8Array() }
  const challenge = encodeControl('CHALLENGE', 0, {
    version: KRP_VERSION,
    relay: config.id,
    nonce,
    sealingKey: { kty, crv, x, kid },
    heartbeatSeconds: config.limits.heartbeatSeconds,
    ...standing(),
  })
  return {
    challenge(frame) {
      const body = decodeControl('HELLO', frame.payload)
      hello = { nonce: body.nonce, frame: encodeFrame('HELLO', 0, frame.payload) }
      return { challenge, traceparent: body.traceparent }
    },
    async authenticate(frame) {
      const { token } = decodeControl('AUTH', frame.payload)
      const claims = await verifyLinkToken(token, trust).catch((cause: unknown) => {
        throw new KrpError('auth-refused', { cause })
      })
      if (claims.nonce !== nonce || !replay.take(claims.jti, claims.exp)) throw new KrpError('auth-refused')
      const auth = encodeFrame('AUTH', 0, frame.payload)
      const handshake = { dialerNonce: hello.nonce, hello: hello.frame, challenge, auth }
      const proof = sign(null, relayProofInput(handshake, sha256(transcriptOf(handshake))), config.signing.key).toString('base64url')
      return { claims, ready: encodeControl('READY', 0, { kid: config.signing.kid, proof }) }
    },
  }
}
