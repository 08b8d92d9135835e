import type { Me } from '../../contract/identity.ts'
import { client } from './account.ts'
import { byId, openDialog } from './dom.ts'
import { bindForm } from './form.ts'
import { plainName } from './people.ts'

/** The name others see: the profile's, else one that says nothing about the person. An address is nobody else's business. */
export const ownName = ({ id, displayName }: Me): string => displayName ?? plainName(id)

/** Lets the user choose another name. */
export function bindRename(me: Me, renamed: (name: string) => void): void {
  const button = byId('rename', HTMLButtonElement)
  const input = byId('name-form-name', HTMLInputElement)
  let shown = me
  button.disabled = false
  button.onclick = () => {
    input.value = ownName(shown)
    const dialog = openDialog('naming')
    input.select()
    bindForm('name-form', async ({ name = '' }) => {
      // Another device may have changed the profile since this page read it.
      const { etag } = await client.getMe()
      shown = await client.updateMe({ ifMatch: etag, body: { displayName: name } })
      renamed(ownName(shown))
      dialog.close()
    })
  }
}
