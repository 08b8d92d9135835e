import { client, nextPage } from '../browser/account.ts'
import { byId, show } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { takeConfirmed } from '../browser/registration.ts'

const confirmed = takeConfirmed()
if (confirmed !== undefined) {
  byId('login-email', HTMLInputElement).value = confirmed
  byId('login-note').textContent = 'Your address is confirmed. Sign in to continue.'
  show(byId('login-note'), true)
}

bindForm('login', async ({ email = '', password = '' }) => {
  await client.login({ body: { email, password, mode: 'cookie' } })
  location.assign(nextPage(location.search))
})
byId(confirmed ? 'login-password' : 'login-email').focus()
