import { isProblem } from '../../contract/problem.ts'
import { client } from '../browser/account.ts'
import { byId, show } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { forgetMailedToken, mailedToken } from '../browser/mailed-token.ts'
import { keepConfirmed, pending } from '../browser/registration.ts'

const token = mailedToken()

function showStep(step: 'incomplete' | 'confirm-step' | 'choose-step'): void {
  for (const id of ['incomplete', 'confirm-step', 'choose-step']) show(byId(id), id === step)
  byId(step).querySelector<HTMLElement>('input, button')?.focus()
}

function enter(email: string): void {
  forgetMailedToken()
  keepConfirmed(email)
  location.assign('/login')
}

bindForm('confirm', async () => {
  const waiting = pending()
  if (!token || !waiting) return showStep('choose-step')
  try {
    await client.verifyEmail({ body: { registrationId: waiting.registrationId, token } })
    enter(waiting.email)
  } catch (error) {
    // The link may belong to a registration that was begun elsewhere, whose password this browser does not vouch for.
    if (!isProblem(error) || error.slug !== 'code-invalid') throw error
    showStep('choose-step')
  }
})

bindForm('choose', async ({ password = '' }) => {
  if (!token) return showStep('incomplete')
  await client.verifyEmail({ body: { token, password } })
  enter('')
})

showStep(token ? (pending() ? 'confirm-step' : 'choose-step') : 'incomplete')
