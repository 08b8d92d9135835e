import type { Endpoint } from '../contract/endpoint.ts'
import type { FinishedLogin } from '../contract/factors.ts'
import type { FactorRequired, LoginAnswer, TokenMode, Tokens } from '../contract/identity.ts'
import { endpoints } from '../contract/registry.ts'
import type { CallOptions, Input } from './api.ts'
import type { Caller } from './call.ts'
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
}: {
  readonly mode: TokenMode
  readonly call: Caller
  readonly session: SessionKeeper
}): SignIns {
  async function enter(endpoint: Endpoint, body: object, options?: CallOptions): Promise<SignInResult> {
    const answer = (await call(endpoint, { body: { ...body, mode } }, options)) as LoginAnswer
    return 'factorRequired' in answer ? answer : session.adopt(answer)
  }

  async function finish(body: FinishBody, options?: CallOptions): Promise<Finished> {
    const { trustToken, ...tokens } = (await call(endpoints.finishLogin, { body }, options)) as FinishedLogin
    const kept = await session.adopt(tokens)
    return trustToken === undefined ? kept : { ...kept, trustToken }
  }
  return {
    login: ({ body }, options) => enter(endpoints.login, body, options),
    useMagicLink: ({ body }, options) => enter(endpoints.useMagicLink, body, options),
    finishLogin: ({ body }, options) => finish(body, options),
    async loginWithPasskey({ body }, options) {
      return session.adopt((await call(endpoints.loginWithPasskey, { body: { ...body, mode } }, options)) as Tokens)
    },
    passkeys: createPasskeys({ mode, call, session, finish }),
  }
}
