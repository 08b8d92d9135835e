import { Locale } from '../../contract/identity.ts'
import { client } from '../browser/account.ts'
import { byId, show } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { forgetPending, keepConfirmed, keepPending, type Pending, pending } from '../browser/registration.ts'
import { enter as goOn } from '../browser/second-factor.ts'
import { tellTrouble } from '../browser/trouble.ts'
import { dateLocale, pageLanguage, said } from '../browser/words.ts'

/** Known only while the page lives: it is never stored. */
let password: string | undefined

function showSteps(waiting: Pending | undefined): void {
  show(byId('register-step'), !waiting)
  show(byId('verify-step'), Boolean(waiting))
  byId('register-title').textContent = waiting ? said().confirmTitle : said().createTitle
  if (!waiting) return
  byId('verify-address').textContent = waiting.email
  byId('verify-until').textContent = new Date(waiting.expiresAt).toLocaleTimeString(dateLocale(), { timeStyle: 'short' })
  byId('verify-code').focus()
}

async function enter(email: string): Promise<void> {
  if (password === undefined) {
    keepConfirmed(email)
    location.assign('/login')
    return
  }
  const { factorRequired } = await client.login({ body: { email, password } })
  forgetPending()
  goOn(factorRequired, '/app')
}

byId('register-locale', HTMLSelectElement).value = pageLanguage()

bindForm('register', async (entries) => {
  const { email = '' } = entries
  const body = { email, password: entries['password'] ?? '', locale: Locale.parse(entries['locale']) }
  const { registrationId, expiresAt } = await client.register({ body })
  password = body.password
  const waiting = { registrationId, expiresAt, email }
  keepPending(waiting)
  showSteps(waiting)
})

bindForm('verify', async ({ code = '' }) => {
  const waiting = pending()
  if (!waiting) return showSteps(undefined)
  // Repeating a call that succeeded succeeds, so a sign-in that failed can be tried again from here.
  await client.verifyEmail({ body: { registrationId: waiting.registrationId, code } })
  await enter(waiting.email)
})

byId('verify-resend').onclick = async ({ currentTarget }) => {
  const waiting = pending()
  if (!waiting) return showSteps(undefined)
  const button = currentTarget as HTMLButtonElement
  button.disabled = true
  try {
    await client.resendVerification({ body: { registrationId: waiting.registrationId } })
    button.textContent = said().sentAgain
  } catch (error) {
    button.disabled = false
    tellTrouble(byId('verify-alert'), error)
  }
}
byId('verify-restart').onclick = () => {
  forgetPending()
  showSteps(undefined)
  byId('register-email').focus()
}
showSteps(pending())
