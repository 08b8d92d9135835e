import { accountEndpoints as account } from '../../contract/account.ts'
import { emailEndpoints as emails } from '../../contract/email.ts'
import { identityEndpoints as api } from '../../contract/identity.ts'
import { keyEndpoints as keys } from '../../contract/keys.ts'
import { magicEndpoints as magic } from '../../contract/magic.ts'
import { passwordEndpoints as passwords } from '../../contract/passwords.ts'
import { Problem } from '../../contract/problem.ts'
import { sessionEndpoints as devices } from '../../contract/sessions.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { isLoginOriginAllowed } from '../http/session.ts'
import { placeOf } from '../platform/limiter/place.ts'
import { restoreAccount } from './account-restore.ts'
import { mountAdmin } from './admin-routes.ts'
import { mountApiKeys } from './api-key-routes.ts'
import { answerIntoCookies, dropCookies, intoCookies, leavingCookies, presentedRefresh, withTrust } from './cookies.ts'
import { deviceOf } from './device.ts'
import { changeEmail, confirmEmailChange } from './email-change.ts'
import { mountFactors } from './factor-routes.ts'
import { login } from './login.ts'
import { askMagicLink, useMagicLink } from './magic.ts'
import { changePassword } from './password-change.ts'
import { forgotPassword, resetPassword } from './password-reset.ts'
import { me, updateMe } from './profile.ts'
import { logout, logoutBrowser, refresh } from './refresh.ts'
import { register, resendVerification, verifyEmail } from './registration.ts'
import { sessionInfo } from './service.ts'
import { listSessions, renameSession, revokeOtherSessions, revokeSession } from './sessions.ts'
import { openIdConfiguration, publicKeys } from './signing-keys.ts'

/** Mounts the identity operations. */
export function mountIdentity(app: EdgeApp): void {
  implement(app, api.register, ({ scope, body }) => register(scope, body))
  implement(app, api.verifyEmail, ({ scope, body }) => verifyEmail(scope, body).then(() => undefined))
  implement(app, api.resendVerification, ({ scope, body }) => resendVerification(scope, body).then(() => undefined))
  implement(app, api.login, async ({ scope, body, request, reply }) => {
    if (!isLoginOriginAllowed(request.headers, scope.config)) throw new Problem('origin-untrusted')
    const answer = await login(scope, withTrust(request, body), { place: placeOf(request.headers), device: deviceOf(request) })
    return body.mode === 'cookie' ? answerIntoCookies(scope, reply.headers, answer) : answer
  })
  implement(app, api.refresh, async ({ scope, body, request, reply }) => {
    const presented = presentedRefresh(scope, request, body)
    const tokens = await refresh(scope, presented, deviceOf(request))
    return presented.mode === 'cookie' ? intoCookies(scope, reply.headers, tokens) : tokens
  })
  implement(app, api.logout, async ({ scope, body, request, reply }) => {
    if (body.refreshToken !== undefined) return logout(scope, body.refreshToken).then(() => undefined)
    await logoutBrowser(scope, leavingCookies(scope, request))
    dropCookies(reply.headers)
    return undefined
  })
  implement(app, api.getSession, async ({ actor }) => sessionInfo(actor))
  implement(app, api.getMe, ({ scope, actor }) => me(scope, actor))
  implement(app, account.updateMe, ({ scope, actor, body, ifMatch }) => updateMe(scope, actor, { ifMatch, changes: body }))
  implement(app, account.restoreAccount, ({ scope, body }) => restoreAccount(scope, body).then(() => undefined))
  implement(app, keys.getOpenIdConfiguration, ({ scope }) => openIdConfiguration(scope))
  implement(app, keys.getJwks, async ({ scope }) => ({ keys: await publicKeys(scope) }))
  mountSessions(app)
  mountPasswords(app)
  mountMagic(app)
  mountEmail(app)
  mountFactors(app)
  mountAdmin(app)
  mountApiKeys(app)
}

function mountSessions(app: EdgeApp): void {
  implement(app, devices.listSessions, ({ scope, actor }) => listSessions(scope, actor))
  implement(app, devices.renameSession, ({ scope, actor, params, body }) =>
    renameSession(scope, actor, { id: params.sessionId, name: body.name }),
  )
  implement(app, devices.revokeSession, ({ scope, actor, params }) => revokeSession(scope, actor, params.sessionId).then(() => undefined))
  implement(app, devices.revokeOtherSessions, ({ scope, actor }) => revokeOtherSessions(scope, actor))
}

function mountPasswords(app: EdgeApp): void {
  implement(app, passwords.changePassword, ({ scope, actor, body }) => changePassword(scope, actor, body).then(() => undefined))
  implement(app, passwords.forgotPassword, ({ scope, body }) => forgotPassword(scope, body))
  implement(app, passwords.resetPassword, ({ scope, body }) => resetPassword(scope, body))
}

function mountMagic(app: EdgeApp): void {
  implement(app, magic.askMagicLink, ({ scope, body }) => askMagicLink(scope, body))
  implement(app, magic.useMagicLink, async ({ scope, body, request, reply }) => {
    if (!isLoginOriginAllowed(request.headers, scope.config)) throw new Problem('origin-untrusted')
    const answer = await useMagicLink(scope, withTrust(request, body), { place: placeOf(request.headers), device: deviceOf(request) })
    return body.mode === 'cookie' ? answerIntoCookies(scope, reply.headers, answer) : answer
  })
}

function mountEmail(app: EdgeApp): void {
  implement(app, emails.changeEmail, ({ scope, actor, body }) => changeEmail(scope, actor, body))
  implement(app, emails.confirmEmailChange, ({ scope, actor, body }) => confirmEmailChange(scope, actor, body).then(() => undefined))
}
