import { client } from '../browser/account.ts'
import { byId, show } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { forgetMailedToken, mailedToken } from '../browser/mailed-token.ts'

const token = mailedToken()

bindForm('restore', async () => {
  if (!token) return
  await client.restoreAccount({ body: { token } })
  forgetMailedToken()
  location.assign(`/password/reset${location.search}`)
})

show(byId(token ? 'restore-step' : 'incomplete'), true)
