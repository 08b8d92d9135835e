import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, prefixedId } from './id.ts'
import { DeviceToken, PendingId, Tokens } from './identity.ts'
import { CurrentPassword } from './passwords.ts'
import { FactorMethod, FactorProof, RECOVERY_CODES, StepUpMethod, TotpCode } from './proof.ts'
import { Place } from './sessions.ts'
import { PasskeyRequestOptions } from './webauthn.ts'

/** How long a device that was trusted at its second factor may leave it out. */
export const TRUST_DAYS = 30
/** How long an authenticator app has to be set up. */
export const TOTP_ENROLMENT_SECONDS = 600

/** Id of a trusted device. */
export const TrustedDeviceId = prefixedId('trd', 'TrustedDeviceId')
/** Id of a trusted device. */
export type TrustedDeviceId = z.infer<typeof TrustedDeviceId>

/** What `finishLogin` takes. */
export const FinishLogin = z
  .strictObject({
    pendingId: PendingId,
    proof: FactorProof,
    trustDevice: z
      .boolean()
      .default(false)
      .meta({ description: `Leaves the second factor out on this device for ${TRUST_DAYS} days.` }),
    deviceToken: DeviceToken.optional(),
  })
  .meta({ id: 'FinishLogin' })
/** What `finishLogin` takes. */
export type FinishLogin = z.output<typeof FinishLogin>

/** What `finishLogin` answers. */
export const FinishedLogin = Tokens.extend({
  trustToken: z.string().optional().meta({ description: 'With `trustDevice`: give it to `login` from here. A cookie in cookie mode.' }),
}).meta({ id: 'FinishedLogin' })
/** What `finishLogin` answers. */
export type FinishedLogin = z.infer<typeof FinishedLogin>

/** What `stepUp` takes: the password where it is the only factor, else a second factor. */
export const StepUp = z
  .discriminatedUnion('method', [z.strictObject({ method: z.literal('password'), password: CurrentPassword }), FactorProof])
  .meta({ id: 'StepUp' })
/** What `stepUp` takes. */
export type StepUp = z.output<typeof StepUp>

/** Until when sensitive operations are open. */
export const SteppedUp = z.object({ validUntil: Moment }).meta({ id: 'SteppedUp' })
/** Until when sensitive operations are open. */
export type SteppedUp = z.infer<typeof SteppedUp>

/** How the account can be signed in to. */
export const Factors = z
  .object({
    hasPassword: z.boolean(),
    hasTotp: z.boolean().meta({ description: 'Whether an authenticator app is set up.' }),
    passkeys: z.int().meta({ description: 'How many passkeys there are.' }),
    recoveryCodesLeft: z.int(),
    methods: z.array(FactorMethod).meta({ description: 'What a sign-in by password takes besides; empty without a second factor.' }),
    stepUp: z.object({ methods: z.array(StepUpMethod), validUntil: Moment.nullable() }).meta({
      description: 'What `stepUp` takes, and until when it is not needed.',
    }),
  })
  .meta({ id: 'Factors' })
/** How the account can be signed in to. */
export type Factors = z.infer<typeof Factors>

/** The secret of an authenticator app, shown this once. */
export const TotpEnrolment = z
  .object({
    secret: z.string().meta({ description: 'Base32, to be typed where no picture can be scanned.' }),
    uri: z.string().meta({ description: 'An otpauth URI, to be shown as a QR code.' }),
    expiresAt: Moment.meta({ description: 'Until when `confirmTotp` takes a code of it.' }),
  })
  .meta({ id: 'TotpEnrolment' })
/** The secret of an authenticator app. */
export type TotpEnrolment = z.infer<typeof TotpEnrolment>

/** Recovery codes, shown this once: each signs in once in place of another second factor. */
export const RecoveryCodes = z.object({ codes: z.array(z.string()).max(RECOVERY_CODES) }).meta({ id: 'RecoveryCodes' })
/** Recovery codes, shown this once. */
export type RecoveryCodes = z.infer<typeof RecoveryCodes>

/** The recovery codes that came with a first second factor. */
export const NewRecoveryCodes = z
  .array(z.string())
  .max(RECOVERY_CODES)
  .meta({ description: 'Shown this once, when the account had none before; else empty.' })

/** A device that may leave the second factor out. */
export const TrustedDevice = z
  .object({
    id: TrustedDeviceId,
    browser: z.string().nullable(),
    system: z.string().nullable(),
    place: Place.nullable(),
    createdAt: Moment,
    lastUsedAt: Moment,
    expiresAt: Moment,
  })
  .meta({ id: 'TrustedDevice' })
/** A device that may leave the second factor out. */
export type TrustedDevice = z.infer<typeof TrustedDevice>

const TAG = { tag: 'identity' } as const

/** The operations on second factors. */
export const factorEndpoints = {
  finishLogin: endpoint({
    ...TAG,
    id: 'finishLogin',
    method: 'POST',
    path: '/v1/auth/login/factor',
    access: 'public',
    summary: 'Prove the second factor of a sign-in and start its session.',
    body: FinishLogin,
    success: 200,
    response: FinishedLogin,
    problems: ['code-invalid', 'passkey-invalid', 'sign-in-ended', 'origin-untrusted'],
    limit: 'factor',
  }),
  startFactorPasskey: endpoint({
    ...TAG,
    id: 'startFactorPasskey',
    method: 'POST',
    path: '/v1/auth/login/factor/passkey',
    access: 'public',
    summary: 'Ask for the challenge with which a passkey proves the second factor of a sign-in.',
    body: z.strictObject({ pendingId: PendingId }).meta({ id: 'StartFactorPasskey' }),
    success: 200,
    response: PasskeyRequestOptions,
    problems: ['sign-in-ended'],
    limit: 'factor',
  }),
  getFactors: endpoint({
    ...TAG,
    id: 'getFactors',
    method: 'GET',
    path: '/v1/auth/factors',
    access: 'user',
    summary: 'How your account can be signed in to, and what proves that it is you.',
    success: 200,
    response: Factors,
    problems: [],
  }),
  stepUp: endpoint({
    ...TAG,
    id: 'stepUp',
    method: 'POST',
    path: '/v1/auth/step-up',
    access: 'user',
    summary: 'Prove again that it is you, which opens sensitive operations for five minutes.',
    body: StepUp,
    success: 200,
    response: SteppedUp,
    problems: ['credentials-invalid', 'code-invalid', 'passkey-invalid', 'step-up-required'],
  }),
  startStepUpPasskey: endpoint({
    ...TAG,
    id: 'startStepUpPasskey',
    method: 'POST',
    path: '/v1/auth/step-up/passkey',
    access: 'user',
    summary: 'Ask for the challenge with which a passkey proves again that it is you.',
    success: 200,
    response: PasskeyRequestOptions,
    problems: [],
  }),
  startTotp: endpoint({
    ...TAG,
    id: 'startTotp',
    method: 'POST',
    path: '/v1/auth/totp',
    access: 'user',
    stepUp: true,
    summary: 'Ask for the secret of an authenticator app. It counts once a code of it is confirmed.',
    success: 200,
    response: TotpEnrolment,
    problems: ['conflict'],
  }),
  confirmTotp: endpoint({
    ...TAG,
    id: 'confirmTotp',
    method: 'POST',
    path: '/v1/auth/totp/confirm',
    access: 'user',
    isSensitive: true,
    summary: 'Confirm the authenticator app with a code of it. Sessions that proved less are ended; this one counts as proven.',
    body: z.strictObject({ code: TotpCode }).meta({ id: 'ConfirmTotp' }),
    success: 200,
    response: z.object({ recoveryCodes: NewRecoveryCodes }).meta({ id: 'ConfirmedTotp' }),
    problems: ['code-invalid'],
  }),
  removeTotp: endpoint({
    ...TAG,
    id: 'removeTotp',
    method: 'DELETE',
    path: '/v1/auth/totp',
    access: 'user',
    stepUp: true,
    summary: 'Remove the authenticator app. Refused while the password is too short to stand alone.',
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'conflict'],
  }),
  makeRecoveryCodes: endpoint({
    ...TAG,
    id: 'makeRecoveryCodes',
    method: 'POST',
    path: '/v1/auth/recovery-codes',
    access: 'user',
    stepUp: true,
    summary: 'Make a new set of recovery codes, shown this once. The old set works no more.',
    success: 200,
    response: RecoveryCodes,
    problems: ['conflict'],
  }),
  removePassword: endpoint({
    ...TAG,
    id: 'removePassword',
    method: 'DELETE',
    path: '/v1/auth/password',
    access: 'user',
    stepUp: true,
    summary: 'Sign in by passkey alone from now on. Needs a passkey.',
    success: 204,
    response: z.undefined(),
    problems: ['conflict'],
  }),
  listTrustedDevices: endpoint({
    ...TAG,
    id: 'listTrustedDevices',
    method: 'GET',
    path: '/v1/auth/trusted-devices',
    access: 'user',
    summary: 'The devices on which you leave the second factor out.',
    success: 200,
    response: z.object({ items: z.array(TrustedDevice) }).meta({ id: 'TrustedDeviceList' }),
    problems: [],
  }),
  revokeTrustedDevice: endpoint({
    ...TAG,
    id: 'revokeTrustedDevice',
    method: 'DELETE',
    path: '/v1/auth/trusted-devices/:trustedDeviceId',
    access: 'user',
    summary: 'Ask a device for the second factor again. Signing a device out or changing a password or factor does so too.',
    params: z.object({ trustedDeviceId: TrustedDeviceId }),
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
}
