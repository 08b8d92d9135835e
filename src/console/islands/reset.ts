import { client } from '../browser/account.ts'
import { bindMailedSteps } from '../browser/mailed-steps.ts'

const leave = () => location.assign('/login')

bindMailedSteps({
  what: 'reset',
  async ask({ email = '' }) {
    const { resetId: id, expiresAt } = await client.forgotPassword({ body: { email } })
    return { id, expiresAt }
  },
  async useCode(resetId, { code = '', newPassword = '' }) {
    await client.resetPassword({ body: { resetId, code, newPassword } })
    leave()
  },
  async useLink(token, { newPassword = '' }) {
    await client.resetPassword({ body: { token, newPassword } })
    leave()
  },
})
