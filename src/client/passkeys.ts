import type { SteppedUp } from '../contract/factors.ts'
import type { CreatedPasskey } from '../contract/passkeys.ts'
import { endpoints } from '../contract/registry.ts'
import type { PasskeyCreationOptions, PasskeyRequestOptions } from '../contract/webauthn.ts'
import type { CallOptions, Input } from './api.ts'
import type { Caller } from './call.ts'
import { credentialJson, type SignedCredential } from './credential-json.ts'
import type { StoredTokens } from './tokens.ts'

/** A finished sign-in; with `trustDevice` the token that this device is trusted by, which the client keeps for the next `login`; in cookie mode a cookie does. */
export type Finished = StoredTokens & { readonly trustToken?: string | undefined }

/** Passkeys of the device that the page runs on; each method asks its user, who may decline (`NotAllowedError`). */
export interface Passkeys {
  /** Whether this platform knows passkeys at all. */
  readonly isSupported: () => boolean
  /**
   * Makes a passkey and adds it to the account.
   *
   * @throws Problem `step-up-required`, `limit-reached`, `passkey-invalid` or `conflict`
   */
  readonly register: (input: { readonly name: string }, options?: CallOptions) => Promise<CreatedPasskey>
  /** Signs in by passkey and keeps the tokens. @throws Problem `passkey-invalid` */
  readonly login: (input?: { readonly deviceName?: string | undefined }, options?: CallOptions) => Promise<StoredTokens>
  /**
   * Offers passkeys among what the browser fills into a field with `autocomplete="username webauthn"`, for as long as its page waits, and
   * signs in with the one that is picked. Answers nothing where the browser cannot, and once another of these methods asks for a passkey.
   *
   * @throws Problem `passkey-invalid`; the reason of the signal that ends it
   */
  readonly autofill: (input?: { readonly deviceName?: string | undefined }, options?: CallOptions) => Promise<StoredTokens | undefined>
  /** Proves the second factor of a sign-in by passkey and keeps the tokens. @throws Problem `sign-in-ended` or `passkey-invalid` */
  readonly finishLogin: (input: FinishInput, options?: CallOptions) => Promise<Finished>
  /** Proves again by passkey that it is the user. @throws Problem `passkey-invalid` */
  readonly stepUp: (options?: CallOptions) => Promise<SteppedUp>
}

/** A sign-in whose second factor is to be proven by passkey. */
export type FinishInput = Pick<Input<typeof endpoints.finishLogin>['body'], 'pendingId' | 'trustDevice'>

interface Parts {
  readonly call: Caller
  /** Signs in by what a passkey signed, and keeps the tokens. */
  readonly enter: (
    body: { readonly assertion: unknown; readonly deviceName?: string | undefined },
    options?: CallOptions,
  ) => Promise<StoredTokens>
  readonly finish: (body: Input<typeof endpoints.finishLogin>['body'], options?: CallOptions) => Promise<Finished>
}

const isSupported = (): boolean =>
  typeof PublicKeyCredential === 'function' && typeof PublicKeyCredential.parseRequestOptionsFromJSON === 'function'

const isSigned = (credential: Credential | null): credential is Credential & SignedCredential =>
  credential !== null && 'rawId' in credential

function toJson(credential: Credential | null): unknown {
  if (!isSigned(credential)) throw new TypeError('This platform made no passkey.')
  return credentialJson(credential)
}

/** What waits below a field; browsers carry out one request at a time. */
let offered: AbortController | undefined

/** Makes way for another request. */
function takeOver(): AbortController {
  offered?.abort()
  offered = new AbortController()
  return offered
}

const canOffer = async (): Promise<boolean> => isSupported() && (await PublicKeyCredential.isConditionalMediationAvailable?.()) === true

async function create(options: PasskeyCreationOptions, signal: AbortSignal | undefined): Promise<unknown> {
  takeOver()
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options)
  return toJson(await navigator.credentials.create({ publicKey, ...(signal && { signal }) }))
}

async function sign(options: PasskeyRequestOptions, signal: AbortSignal | undefined): Promise<unknown> {
  takeOver()
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
  return toJson(await navigator.credentials.get({ publicKey, ...(signal && { signal }) }))
}

/** Waits for a passkey to be picked, with one challenge after the other: each is good for its `timeout` alone. */
async function offer(ask: () => Promise<PasskeyRequestOptions>, signal: AbortSignal | undefined): Promise<unknown> {
  const over = takeOver().signal
  for (;;) {
    const options = await ask()
    // Somebody who picks one needs a while to be verified.
    const stale = AbortSignal.timeout(options.timeout * 0.8)
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
    const ends = AbortSignal.any([over, stale, ...(signal ? [signal] : [])])
    try {
      ends.throwIfAborted()
      return toJson(await navigator.credentials.get({ publicKey, mediation: 'conditional', signal: ends }))
    } catch (error) {
      signal?.throwIfAborted()
      if (over.aborted) return undefined
      if (!stale.aborted) throw error
    }
  }
}

/** Makes the methods that talk to the platform's authenticators, by what current browsers have built in. */
export function createPasskeys({ call, enter, finish }: Parts): Passkeys {
  return {
    isSupported,
    async register({ name }, options) {
      const asked = (await call(endpoints.startPasskey, {}, options)) as PasskeyCreationOptions
      const attestation = await create(asked, options?.signal)
      return (await call(endpoints.createPasskey, { body: { name, attestation } }, options)) as CreatedPasskey
    },
    async login({ deviceName } = {}, options) {
      const asked = (await call(endpoints.startPasskeyLogin, {}, options)) as PasskeyRequestOptions
      const assertion = await sign(asked, options?.signal)
      return enter({ assertion, deviceName }, options)
    },
    async autofill({ deviceName } = {}, options) {
      if (!(await canOffer())) return undefined
      const ask = async () => (await call(endpoints.startPasskeyLogin, {}, options)) as PasskeyRequestOptions
      const assertion = await offer(ask, options?.signal)
      return assertion === undefined ? undefined : enter({ assertion, deviceName }, options)
    },
    async finishLogin({ pendingId, trustDevice }, options) {
      const asked = (await call(endpoints.startFactorPasskey, { body: { pendingId } }, options)) as PasskeyRequestOptions
      const assertion = (await sign(asked, options?.signal)) as Extract<
        Input<typeof endpoints.finishLogin>['body']['proof'],
        { method: 'passkey' }
      >['assertion']
      return finish({ pendingId, proof: { method: 'passkey', assertion }, trustDevice }, options)
    },
    async stepUp(options) {
      const asked = (await call(endpoints.startStepUpPasskey, {}, options)) as PasskeyRequestOptions
      const assertion = await sign(asked, options?.signal)
      return (await call(endpoints.stepUp, { body: { method: 'passkey', assertion } }, options)) as SteppedUp
    },
  }
}
