import type { Passkey } from '../../contract/passkeys.ts'
import { client } from './account.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { byId, filled, show } from './dom.ts'
import { showRecoveryCodes } from './factors-panel.ts'
import { bindList, placesOf } from './list.ts'
import { askName } from './naming.ts'
import { withStepUp } from './step-up.ts'
import { dateLocale, said } from './words.ts'

const usedOf = ({ lastUsedAt }: Passkey): string =>
  lastUsedAt === null ? said().unused : `${said().used} ${new Date(lastUsedAt).toLocaleDateString(dateLocale(), { dateStyle: 'medium' })}`

/** The user's passkeys: add, name, remove. The answer reloads them. */
export function startPasskeys(changed: () => Promise<void>): () => Promise<void> {
  const places = placesOf('passkeys')
  const { alert } = places

  function row(passkey: Passkey): HTMLElement {
    const params = { passkeyId: passkey.id }
    const piece = filled('passkey-row', { name: passkey.name, used: usedOf(passkey) })
    const [rename, remove] = [piece.slot<HTMLButtonElement>('rename'), piece.slot<HTMLButtonElement>('remove')]
    for (const button of [rename, remove]) button.setAttribute('aria-description', passkey.name)
    rename.onclick = () =>
      askName(passkey.name, async (name) => {
        await client.renamePasskey({ params, body: { name } })
        await reload()
      })
    bindDangerButton(remove, alert, () =>
      withStepUp(async () => {
        await client.deletePasskey({ params })
        await reload()
        await changed()
      }),
    )
    return piece.root
  }

  const reload = bindList(places, { load: () => client.listPasskeys(), row })
  const add = byId('add-passkey', HTMLButtonElement)
  show(add, client.passkeys.isSupported())
  bindButton(add, alert, async () =>
    askName(said().thisDevice, (name) =>
      withStepUp(async () => {
        const { recoveryCodes } = await client.passkeys.register({ name })
        await reload()
        await changed()
        showRecoveryCodes(recoveryCodes)
      }),
    ),
  )
  return reload
}
