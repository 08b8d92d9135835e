import * as z from 'zod'

/** Binary data of a ceremony; browsers write it so with `PublicKeyCredential.toJSON()`. */
const base64Url = (charsMax: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .max(charsMax)

/** Longest credential id: 1023 bytes (WebAuthn §6.5.2). */
const CredentialRef = z.object({
  id: base64Url(1_364),
  type: z.literal('public-key'),
  transports: z.array(z.string()),
})

const credential = {
  id: base64Url(1_364),
  rawId: base64Url(1_364),
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish().catch(undefined),
  clientExtensionResults: z.object({}).optional(),
}

/** What `navigator.credentials.create` made, as its `toJSON()` tells it. */
export const PasskeyAttestation = z
  .object({
    ...credential,
    response: z.object({
      clientDataJSON: base64Url(4_096),
      attestationObject: base64Url(16_384),
      transports: z.array(z.string().max(32)).max(10).optional(),
    }),
  })
  .meta({ id: 'PasskeyAttestation', description: 'RegistrationResponseJSON of WebAuthn Level 3.' })
/** What `navigator.credentials.create` made. */
export type PasskeyAttestation = z.output<typeof PasskeyAttestation>

/** What `navigator.credentials.get` signed, as its `toJSON()` tells it. */
export const PasskeyAssertion = z
  .object({
    ...credential,
    response: z.object({
      clientDataJSON: base64Url(4_096),
      authenticatorData: base64Url(4_096),
      signature: base64Url(4_096),
      userHandle: base64Url(128).nullish(),
    }),
  })
  .meta({ id: 'PasskeyAssertion', description: 'AuthenticationResponseJSON of WebAuthn Level 3.' })
/** What `navigator.credentials.get` signed. */
export type PasskeyAssertion = z.output<typeof PasskeyAssertion>

/** Give it to `PublicKeyCredential.parseCreationOptionsFromJSON`. */
export const PasskeyCreationOptions = z
  .object({
    challenge: z.string(),
    rp: z.object({ id: z.string(), name: z.string() }),
    user: z.object({ id: z.string(), name: z.string(), displayName: z.string() }),
    pubKeyCredParams: z.array(z.object({ type: z.literal('public-key'), alg: z.int() })),
    timeout: z.int().meta({ description: 'Milliseconds.' }),
    excludeCredentials: z.array(CredentialRef),
    authenticatorSelection: z.object({
      residentKey: z.literal('required'),
      requireResidentKey: z.literal(true),
      userVerification: z.literal('required'),
    }),
    attestation: z.literal('none'),
  })
  .meta({ id: 'PasskeyCreationOptions', description: 'PublicKeyCredentialCreationOptionsJSON of WebAuthn Level 3.' })
/** Give it to `PublicKeyCredential.parseCreationOptionsFromJSON`. */
export type PasskeyCreationOptions = z.infer<typeof PasskeyCreationOptions>

/** Give it to `PublicKeyCredential.parseRequestOptionsFromJSON`. */
export const PasskeyRequestOptions = z
  .object({
    challenge: z.string(),
    rpId: z.string(),
    timeout: z.int().meta({ description: 'Milliseconds.' }),
    allowCredentials: z.array(CredentialRef).meta({ description: 'Empty where it would tell who has an account.' }),
    userVerification: z.literal('required'),
  })
  .meta({ id: 'PasskeyRequestOptions', description: 'PublicKeyCredentialRequestOptionsJSON of WebAuthn Level 3.' })
/** Give it to `PublicKeyCredential.parseRequestOptionsFromJSON`. */
export type PasskeyRequestOptions = z.infer<typeof PasskeyRequestOptions>
