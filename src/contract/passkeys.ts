import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { NewRecoveryCodes } from './factors.ts'
import { lineOf, Moment, prefixedId } from './id.ts'
import { DeviceName, DeviceToken, TokenMode, Tokens } from './identity.ts'
import { PasskeyAssertion, PasskeyAttestation, PasskeyCreationOptions, PasskeyRequestOptions } from './webauthn.ts'

/** Most passkeys of one user. */
export const PASSKEYS_MAX = 10
/** Longest name of a passkey. */
export const PASSKEY_NAME_CHARS_MAX = 60
/** How long a ceremony with a passkey may take. */
export const CHALLENGE_TTL_SECONDS = 300

/** Id of a passkey. */
export const PasskeyId = prefixedId('pky', 'PasskeyId')
/** Id of a passkey. */
export type PasskeyId = z.infer<typeof PasskeyId>

/** What the user calls a passkey. */
export const PasskeyName = lineOf(PASSKEY_NAME_CHARS_MAX).meta({ id: 'PasskeyName', example: 'Blue security key' })

/** A passkey, without its keys. */
export const Passkey = z
  .object({
    id: PasskeyId,
    name: z.string(),
    isSynced: z.boolean().meta({ description: 'Whether its provider may carry it to other devices.' }),
    createdAt: Moment,
    lastUsedAt: Moment.nullable(),
  })
  .meta({ id: 'Passkey' })
/** A passkey, without its keys. */
export type Passkey = z.infer<typeof Passkey>

/** What `createPasskey` takes. */
export const CreatePasskey = z.strictObject({ name: PasskeyName, attestation: PasskeyAttestation }).meta({ id: 'CreatePasskey' })
/** What `createPasskey` takes. */
export type CreatePasskey = z.output<typeof CreatePasskey>

/** What `createPasskey` answers. */
export const CreatedPasskey = z.object({ passkey: Passkey, recoveryCodes: NewRecoveryCodes }).meta({ id: 'CreatedPasskey' })
/** What `createPasskey` answers. */
export type CreatedPasskey = z.infer<typeof CreatedPasskey>

/** What `loginWithPasskey` takes. */
export const LoginWithPasskey = z
  .strictObject({
    assertion: PasskeyAssertion,
    mode: TokenMode.default('bearer'),
    deviceName: DeviceName.optional(),
    deviceToken: DeviceToken.optional(),
  })
  .meta({ id: 'LoginWithPasskey' })
/** What `loginWithPasskey` takes. */
export type LoginWithPasskey = z.output<typeof LoginWithPasskey>

const TAG = { tag: 'identity' } as const
const PasskeyParams = z.object({ passkeyId: PasskeyId })

/** The operations on passkeys. */
export const passkeyEndpoints = {
  startPasskeyLogin: endpoint({
    ...TAG,
    id: 'startPasskeyLogin',
    method: 'POST',
    path: '/v1/auth/login/passkey/start',
    access: 'public',
    summary: 'Ask for the challenge of a sign-in by passkey. It is the same kind for everybody and names no account.',
    success: 200,
    response: PasskeyRequestOptions,
    problems: [],
    limit: 'factor',
  }),
  loginWithPasskey: endpoint({
    ...TAG,
    id: 'loginWithPasskey',
    method: 'POST',
    path: '/v1/auth/login/passkey',
    access: 'public',
    summary: 'Sign in by passkey. It verifies its user, so it is both factors at once.',
    body: LoginWithPasskey,
    success: 200,
    response: Tokens,
    problems: ['passkey-invalid', 'origin-untrusted'],
    limit: 'factor',
  }),
  startPasskey: endpoint({
    ...TAG,
    id: 'startPasskey',
    method: 'POST',
    path: '/v1/auth/passkeys/start',
    access: 'user',
    stepUp: true,
    summary: 'Ask for the challenge with which a new passkey is made.',
    success: 200,
    response: PasskeyCreationOptions,
    problems: ['limit-reached'],
  }),
  createPasskey: endpoint({
    ...TAG,
    id: 'createPasskey',
    method: 'POST',
    path: '/v1/auth/passkeys',
    access: 'user',
    isSensitive: true,
    summary: 'Add the passkey that was made. Sessions that proved less are ended; this one counts as proven.',
    body: CreatePasskey,
    success: 201,
    response: CreatedPasskey,
    problems: ['passkey-invalid', 'limit-reached', 'conflict'],
  }),
  listPasskeys: endpoint({
    ...TAG,
    id: 'listPasskeys',
    method: 'GET',
    path: '/v1/auth/passkeys',
    access: 'user',
    summary: 'Your passkeys, oldest first.',
    success: 200,
    response: z.object({ items: z.array(Passkey).max(PASSKEYS_MAX) }).meta({ id: 'PasskeyList' }),
    problems: [],
  }),
  renamePasskey: endpoint({
    ...TAG,
    id: 'renamePasskey',
    method: 'PATCH',
    path: '/v1/auth/passkeys/:passkeyId',
    access: 'user',
    summary: 'Give a passkey another name.',
    params: PasskeyParams,
    body: z.strictObject({ name: PasskeyName }).meta({ id: 'RenamePasskey' }),
    success: 200,
    response: Passkey,
    problems: ['not-found'],
  }),
  deletePasskey: endpoint({
    ...TAG,
    id: 'deletePasskey',
    method: 'DELETE',
    path: '/v1/auth/passkeys/:passkeyId',
    access: 'user',
    stepUp: true,
    summary: 'Remove a passkey. Refused for the last way to sign in, and while the password is too short to stand alone.',
    params: PasskeyParams,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'conflict'],
  }),
}
