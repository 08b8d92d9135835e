import { isProblem } from '../../contract/problem.ts'
import { client } from './account.ts'
import { bindButton } from './button.ts'
import { byId, openDialog, show } from './dom.ts'
import { bindForm } from './form.ts'
import { proofOfCode } from './second-factor.ts'
import { calm } from './trouble.ts'

/** The user closed the dialog: nothing went wrong, and nothing was done. */
class Declined extends Error {
  override readonly name = 'AbortError'
}

/** Asks for a proof by one of these methods; resolves once it is given. */
function prove(methods: readonly string[]): Promise<void> {
  const hasCode = methods.includes('totp') || methods.includes('recovery-code')
  const hasPassword = methods.includes('password')
  const hasPasskey = methods.includes('passkey') && client.passkeys.isSupported()
  calm(byId('step-up-alert'))
  return new Promise((resolve, reject) => {
    const done = () => {
      resolve()
      dialog.close()
    }
    const password = bindForm('step-up-password', async (entries) => {
      await client.stepUp({ body: { method: 'password', password: entries['password'] ?? '' } })
      done()
    })
    const code = bindForm('step-up-code', async (entries) => {
      await client.stepUp({ body: proofOfCode(entries['code'] ?? '') })
      done()
    })
    bindButton(byId('step-up-passkey', HTMLButtonElement), byId('step-up-alert'), async () => {
      await client.passkeys.stepUp()
      done()
    })
    for (const form of [password, code]) form.reset()
    show(password, hasPassword)
    show(code, hasCode)
    show(byId('step-up-passkey'), hasPasskey)
    show(byId('step-up-none'), !hasPassword && !hasCode && !hasPasskey)
    const dialog = openDialog('step-up')
    dialog.onclose = () => reject(new Declined('declined'))
  })
}

/** Does what may need a fresh proof: asks for one when it does, and does it then. Nothing happens, or comes of it, when the user declines. */
export async function withStepUp<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act()
  } catch (error) {
    if (!isProblem(error) || error.slug !== 'step-up-required') throw error
    const isProven = await prove(error.extras.methods ?? []).then(
      () => true,
      (failure: unknown) => {
        if (failure instanceof Declined) return false
        throw failure
      },
    )
    return isProven ? act() : undefined
  }
}
