import type { Endpoint } from '../contract/endpoint.ts'
import type { FinishedLogin } from '../contract/factors.ts'
import type { FactorRequired, LoginAnswer, TokenMode, Tokens } from '../contract/identity.ts'
import { endpoints } from '../contract/registry.ts'
import type { CallOptions, Input } from './api.ts'
import type { Caller } from './call.ts'
import type { DeviceKeeper } from './device.ts'
import { createPasskeys, type Finished, type Passkeys } from './passkeys.ts'
import type { SessionKeeper } from './session.ts'
import type { StoredTokens } from './tokens.ts'

/** A sign-in that waits for its second factor: nobody is signed in yet. */
export type AwaitedFactor = FactorRequired & { readonly [K in keyof StoredTokens]?: undefined }

/** What a first factor brings: the kept tokens, or with `factorRequired` what `finishLogin` needs. */
export type SignInResult = (StoredTokens & { readonly factorRequired?: undefined }) | AwaitedFactor

type LoginBody = Omit<Input<typeof endpoints.login>['body'], 'mode'> & { readonly mode?: TokenMode | undefined }
type FinishBody = Input<typeof endpoints.finishLogin>['body']
type MagicBody = Omit<NonNullable<Input<typeof endpoints.useMagicLink>['body']>, 'mode'> & { readonly mode?: TokenMode | undefined }
type PasskeyBody = Omit<Input<typeof endpoints.loginWithPasskey>['body'], 'mode'> & { readonly mode?: TokenMode | undefined }

/** The ways to sign in. */
export interface SignIns {
  /**
   * Signs in and keeps the tokens, or answers `factorRequired`. The mode is the client's, whatever the body says.
   *
   * @throws Problem `credentials-invalid`, `origin-untrusted`, `invalid-request` or `rate-limited`
   */
  readonly login: (input: { readonly body: LoginBody }, options?: CallOptions) => Promise<SignInResult>
  /**
   * Signs in by mail, with the code or the link that `askMagicLink` had sent, as `login` does.
   *
   * @throws Problem `code-invalid`, `origin-untrusted`, `invalid-request` or `rate-limited`
   */
  readonly useMagicLink: (input: { readonly body: MagicBody }, options?: CallOptions) => Promise<SignInResult>
  /**
   * Proves the second factor of a sign-in and keeps the tokens.
   *
   * @throws Problem `code-invalid`, `passkey-invalid`, `sign-in-ended`, `rate-limited` or `origin-untrusted`
   */
  readonly finishLogin: (input: { readonly body: FinishBody }, options?: CallOptions) => Promise<Finished>
  /** Signs in by what a passkey signed and keeps the tokens; `passkeys.login` does the whole. @throws Problem `passkey-invalid` */
  readonly loginWithPasskey: (input: { readonly body: PasskeyBody }, options?: CallOptions) => Promise<StoredTokens>
  readonly passkeys: Passkeys
}

/** Makes the ways to sign in. */
export function createSignIns({
  mode,
  call,
  session,
  device,
}: {
  readonly mode: TokenMode
  readonly call: Caller
  readonly session: SessionKeeper
  readonly device: DeviceKeeper
}): SignIns {
  /** Keeps the tokens, and first what the next sign-in on this device is to show. */
  async function start({ deviceToken, ...tokens }: Tokens, trustToken?: string): Promise<StoredTokens> {
    await device.keep({ deviceToken, trustToken })
    return session.adopt(tokens)
  }

  async function enter(endpoint: Endpoint, body: object, options?: CallOptions): Promise<SignInResult> {
    const answer = (await call(endpoint, { body: { ...(await device.shown()), ...body, mode } }, options)) as LoginAnswer
    return 'factorRequired' in answer ? answer : start(answer)
  }

  async function enterByPasskey(body: object, options?: CallOptions): Promise<StoredTokens> {
    const { deviceToken } = await device.shown()
    return start((await call(endpoints.loginWithPasskey, { body: { deviceToken, ...body, mode } }, options)) as Tokens)
  }

  async function finish(body: FinishBody, options?: CallOptions): Promise<Finished> {
    const { trustToken, ...tokens } = (await call(
      endpoints.finishLogin,
      { body: { deviceToken: (await device.shown()).deviceToken, ...body } },
      options,
    )) as FinishedLogin
    const kept = await start(tokens, trustToken)
    return trustToken === undefined ? kept : { ...kept, trustToken }
  }
  return {
    login: ({ body }, options) => enter(endpoints.login, body, options),
    useMagicLink: ({ body }, options) => enter(endpoints.useMagicLink, body, options),
    finishLogin: ({ body }, options) => finish(body, options),
    loginWithPasskey: ({ body }, options) => enterByPasskey(body, options),
    passkeys: createPasskeys({ call, enter: enterByPasskey, finish }),
  }
}
