import { client } from '../browser/account.ts'
import { byId } from '../browser/dom.ts'
import { bindMailedSteps } from '../browser/mailed-steps.ts'

const isEnding = (form: 'code' | 'link') => byId(`${form}-endApiKeys`, HTMLInputElement).checked
const leave = () => location.assign('/login')

bindMailedSteps({
  what: 'reset',
  async ask({ email = '' }) {
    const { resetId: id, expiresAt } = await client.forgotPassword({ body: { email } })
    return { id, expiresAt }
  },
  async useCode(resetId, { code = '', newPassword = '' }) {
    await client.resetPassword({ body: { resetId, code, newPassword, endApiKeys: isEnding('code') } })
    leave()
  },
  async useLink(token, { newPassword = '' }) {
    await client.resetPassword({ body: { token, newPassword, endApiKeys: isEnding('link') } })
    leave()
  },
})
