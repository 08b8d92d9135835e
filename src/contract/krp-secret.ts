import * as z from 'zod'

/** Unpadded base64url of so many characters. */
export const base64url = (charsMin: number, charsMax: number) =>
  z
    .string()
    .min(charsMin)
    .max(charsMax)
    .regex(/^[A-Za-z0-9_-]+$/)
/** A name of a relay, a key or an object. */
export const Identifier = z.string().regex(/^[A-Za-z0-9_.:-]{1,128}$/)

/** The relay's public sealing key, an X25519 JWK. */
export const SealingPublicJwk = z.strictObject({ kty: z.literal('OKP'), crv: z.literal('X25519'), x: base64url(43, 43), kid: Identifier })
/** The relay's public sealing key. */
export type SealingPublicJwk = z.infer<typeof SealingPublicJwk>

/** A credential that only the relay with key `kid` can open, and only for the grant whose AAD it was sealed with (`seal.ts`). */
export const SealedCredential = z.strictObject({ kid: Identifier, epk: base64url(43, 43), ciphertext: base64url(22, 140_000) })
/** A sealed credential. */
export type SealedCredential = z.infer<typeof SealedCredential>

/** Plaintext inside a sealed credential, as JSON. An RSA-4096 key in PEM is 3.3 kB; the bound leaves room to spare. */
export const RelayCredential = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('password'), password: z.string().min(1).max(16_384) }),
  z.strictObject({
    kind: z.literal('private-key'),
    privateKey: z.string().min(1).max(16_384),
    passphrase: z.string().min(1).max(1_024).optional(),
  }),
  /** Nothing is stored: the target asks, PROMPT carries it to a person, ANSWER comes back. */
  z.strictObject({ kind: z.literal('keyboard-interactive') }),
  /** An OpenSSH user certificate (its blob) and the Ed25519 key (PKCS #8) that it names, both made for this connection; base64. */
  z.strictObject({
    kind: z.literal('certificate'),
    certificate: z.base64().min(1).max(8_192),
    privateKey: z.base64().min(1).max(1_024),
  }),
])
/** Plaintext inside a sealed credential. */
export type RelayCredential = z.infer<typeof RelayCredential>
