import { client } from '../browser/account.ts'
import { byId, show } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { dropHeld, type Held, held, proofOfCode } from '../browser/second-factor.ts'
import { calm, tellTrouble } from '../browser/trouble.ts'

function leave({ next }: Held): void {
  dropHeld()
  location.assign(next)
}

const isTrusted = () => byId('factor-trust', HTMLInputElement).checked

function bind(waiting: Held): void {
  const { pendingId, methods } = waiting
  show(byId('code-step'), methods.includes('totp') || methods.includes('recovery-code'))
  show(byId('passkey-step'), methods.includes('passkey') && client.passkeys.isSupported())
  bindForm('factor', async ({ code = '' }) => {
    await client.finishLogin({ body: { pendingId, proof: proofOfCode(code), trustDevice: isTrusted() } })
    leave(waiting)
  })
  byId('passkey').onclick = async () => {
    calm(byId('page-alert'))
    try {
      await client.passkeys.finishLogin({ pendingId, trustDevice: isTrusted() })
      leave(waiting)
    } catch (error) {
      // Declined by its user: the page stays as it was.
      if (!(error instanceof DOMException && error.name === 'NotAllowedError')) tellTrouble(byId('page-alert'), error)
    }
  }
  byId('factor-code').focus()
}

const waiting = held()
if (waiting) bind(waiting)
else location.replace('/login')
