import type { Tokens } from '../../contract/identity.ts'
import type { LoginWithPasskey } from '../../contract/passkeys.ts'
import { Problem } from '../../contract/problem.ts'
import type { PasskeyRequestOptions } from '../../contract/webauthn.ts'
import type { Place } from '../platform/limiter/place.ts'
import type { Scope } from '../platform/scope.ts'
import { drawChallenge, provePasskey, requestOptions } from './ceremony.ts'
import type { Device } from './device.ts'
import { shownDevice } from './known-device.ts'
import { signIn } from './sign-in.ts'

const PURPOSE = { ceremony: 'login', binding: '' } as const

/** What any passkey of this service may sign to sign in; it names nobody. */
export const startPasskeyLogin = async (scope: Scope): Promise<PasskeyRequestOptions> =>
  requestOptions(scope, await drawChallenge(scope, PURPOSE), [])

/** Starts a session by passkey, which is both factors at once. @throws Problem `passkey-invalid` */
export async function loginWithPasskey(
  scope: Scope,
  { assertion, mode, deviceName, deviceToken }: LoginWithPasskey,
  { place, device }: { readonly place: Place; readonly device: Device },
): Promise<Tokens> {
  const { user, methods } = await provePasskey(scope, assertion, PURPOSE)
  const shown = await shownDevice(deviceToken)
  const answer = await signIn(scope, user, { methods: [...methods, 'mfa'], mode, place, device, deviceName, shown })
  if (!answer || 'factorRequired' in answer) throw new Problem('passkey-invalid')
  return answer
}
