import { client, isSignedOut, leaveForLogin } from '../browser/account.ts'
import { byId, show } from '../browser/dom.ts'
import { adoptLanguage } from '../browser/language.ts'
import { bindMailedSteps } from '../browser/mailed-steps.ts'
import { mailedToken } from '../browser/mailed-token.ts'
import { withStepUp } from '../browser/step-up.ts'
import { tellTrouble } from '../browser/trouble.ts'

function tellDone(): void {
  for (const step of ['ask-step', 'code-step', 'link-step']) show(byId(step), false)
  show(byId('done'), true)
}

/** Kept first, so that it is still there after a sign-in on the way. */
mailedToken()
try {
  adoptLanguage((await client.getMe()).locale)
  bindMailedSteps({
    what: 'email',
    async ask({ email = '' }) {
      const asked = await withStepUp(() => client.changeEmail({ body: { email } }))
      return asked && { id: asked.changeId, expiresAt: asked.expiresAt }
    },
    async useCode(changeId, { code = '' }) {
      await client.confirmEmailChange({ body: { changeId, code } })
      tellDone()
    },
    async useLink(token) {
      await client.confirmEmailChange({ body: { token } })
      tellDone()
    },
  })
} catch (error) {
  if (isSignedOut(error)) leaveForLogin()
  else tellTrouble(byId('page-alert'), error)
}
