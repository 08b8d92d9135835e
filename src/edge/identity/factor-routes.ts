import { factorEndpoints as factors } from '../../contract/factors.ts'
import { passkeyEndpoints as passkeys } from '../../contract/passkeys.ts'
import { Problem } from '../../contract/problem.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { isLoginOriginAllowed } from '../http/session.ts'
import { placeOf } from '../platform/limiter/place.ts'
import { deviceCookie, finishedIntoCookies, signedInIntoCookies, withKept } from './cookies.ts'
import { deviceOf } from './device.ts'
import { loginWithPasskey, startPasskeyLogin } from './passkey-login.ts'
import { createPasskey, deletePasskey, listPasskeys, renamePasskey, startPasskey } from './passkeys.ts'
import { removePassword } from './password-change.ts'
import { makeRecoveryCodes } from './recovery-set.ts'
import { finishLogin, startFactorPasskey } from './second-factor.ts'
import { factorsOf } from './standing.ts'
import { startStepUpPasskey, stepUp } from './step-up.ts'
import { confirmTotp, removeTotp, startTotp } from './totp-enrolment.ts'
import { listTrustedDevices, revokeTrustedDevice } from './trust.ts'

/** Mounts the operations on second factors and passkeys. */
export function mountFactors(app: EdgeApp): void {
  implement(app, factors.finishLogin, async ({ scope, body, request, reply }) => {
    if (!isLoginOriginAllowed(request.headers, scope.config)) throw new Problem('origin-untrusted')
    const { answer, mode } = await finishLogin(scope, body, deviceCookie(request))
    return mode === 'cookie' ? finishedIntoCookies(scope, reply.headers, answer) : answer
  })
  implement(app, factors.startFactorPasskey, ({ scope, body }) => startFactorPasskey(scope, body.pendingId))
  implement(app, factors.getFactors, ({ scope, actor }) => factorsOf(scope, actor))
  implement(app, factors.stepUp, ({ scope, actor, body }) => stepUp(scope, actor, body))
  implement(app, factors.startStepUpPasskey, ({ scope, actor }) => startStepUpPasskey(scope, actor))
  implement(app, factors.startTotp, ({ scope, actor }) => startTotp(scope, actor))
  implement(app, factors.confirmTotp, ({ scope, actor, body }) => confirmTotp(scope, actor, body.code))
  implement(app, factors.removeTotp, ({ scope, actor }) => removeTotp(scope, actor).then(() => undefined))
  implement(app, factors.makeRecoveryCodes, ({ scope, actor }) => makeRecoveryCodes(scope, actor))
  implement(app, factors.removePassword, ({ scope, actor }) => removePassword(scope, actor).then(() => undefined))
  implement(app, factors.listTrustedDevices, ({ scope, actor }) => listTrustedDevices(scope, actor))
  implement(app, factors.revokeTrustedDevice, ({ scope, actor, params }) =>
    revokeTrustedDevice(scope, actor, params.trustedDeviceId).then(() => undefined),
  )
  mountPasskeys(app)
}

function mountPasskeys(app: EdgeApp): void {
  implement(app, passkeys.startPasskeyLogin, ({ scope }) => startPasskeyLogin(scope))
  implement(app, passkeys.loginWithPasskey, async ({ scope, body, request, reply }) => {
    if (!isLoginOriginAllowed(request.headers, scope.config)) throw new Problem('origin-untrusted')
    const tokens = await loginWithPasskey(scope, withKept(request, body), { place: placeOf(request.headers), device: deviceOf(request) })
    return body.mode === 'cookie' ? signedInIntoCookies(scope, reply.headers, tokens) : tokens
  })
  implement(app, passkeys.startPasskey, ({ scope, actor }) => startPasskey(scope, actor))
  implement(app, passkeys.createPasskey, ({ scope, actor, body }) => createPasskey(scope, actor, body))
  implement(app, passkeys.listPasskeys, ({ scope, actor }) => listPasskeys(scope, actor))
  implement(app, passkeys.renamePasskey, ({ scope, actor, params, body }) =>
    renamePasskey(scope, actor, { id: params.passkeyId, name: body.name }),
  )
  implement(app, passkeys.deletePasskey, ({ scope, actor, params }) => deletePasskey(scope, actor, params.passkeyId).then(() => undefined))
}
