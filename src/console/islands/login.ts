import { client } from '../browser/account.ts'
import { bindButton } from '../browser/button.ts'
import { byId, show } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { nextPage } from '../browser/next-page.ts'
import { takeConfirmed } from '../browser/registration.ts'
import { enter } from '../browser/second-factor.ts'
import { tellTrouble } from '../browser/trouble.ts'
import { said } from '../browser/words.ts'

const next = nextPage(location.search)
const confirmed = takeConfirmed()
if (confirmed !== undefined) {
  byId('login-email', HTMLInputElement).value = confirmed
  byId('login-note').textContent = said().addressConfirmed
  show(byId('login-note'), true)
}

bindForm('login', async ({ email = '', password = '' }) => {
  const { factorRequired } = await client.login({ body: { email, password } })
  enter(factorRequired, next)
})

const passkey = byId('passkey-login', HTMLButtonElement)
show(passkey, client.passkeys.isSupported())
bindButton(passkey, byId('passkey-alert'), async () => {
  await client.passkeys.login()
  enter(undefined, next)
})
client.passkeys
  .autofill()
  .then((tokens) => tokens && enter(undefined, next))
  .catch((error: unknown) => tellTrouble(byId('passkey-alert'), error))
byId(confirmed ? 'login-password' : 'login-email').focus()
