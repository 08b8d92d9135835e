import { isProblem } from '../../contract/problem.ts'
import { client, isSignedOut, leaveForLogin } from '../browser/account.ts'
import { bindButton } from '../browser/button.ts'
import { byId, show, showMoment } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { forgetMailedToken, mailedToken } from '../browser/mailed-token.ts'
import { tellTrouble } from '../browser/trouble.ts'

const STEPS = ['incomplete', 'useless', 'offer', 'declined'] as const

function showStep(step: (typeof STEPS)[number]): void {
  for (const each of STEPS) show(byId(each), each === step)
}

function bindOffer(token: string): void {
  bindForm('accept', async () => {
    await client.acceptInvitation({ body: { token } })
    forgetMailedToken()
    location.assign('/app')
  })
  bindButton(byId('decline', HTMLButtonElement), byId('accept-alert'), async () => {
    await client.declineInvitation({ body: { token } })
    forgetMailedToken()
    showStep('declined')
  })
}

async function showOffer(token: string): Promise<void> {
  try {
    const { orgName, role, expiresAt } = await client.showInvitation({ body: { token } })
    byId('org-name').textContent = orgName
    show(byId(`role-${role}`), true)
    showMoment(byId('expires'), expiresAt)
    bindOffer(token)
    showStep('offer')
  } catch (error) {
    // The service tells nobody which it is: not theirs, used, withdrawn or expired.
    if (!isProblem(error) || error.slug !== 'not-found') throw error
    showStep('useless')
  }
}

async function showAccount(): Promise<void> {
  const { email } = await client.getMe()
  byId('own-email').textContent = email
  show(byId('account'), true)
  // The token stays in this tab, so that the other account finds it.
  bindButton(byId('switch-account', HTMLButtonElement), byId('page-alert'), async () => {
    await client.logout()
    leaveForLogin()
  })
}

const token = mailedToken()
try {
  if (token) {
    await showAccount()
    await showOffer(token)
  } else showStep('incomplete')
} catch (error) {
  if (isSignedOut(error)) leaveForLogin()
  else tellTrouble(byId('page-alert'), error)
}
