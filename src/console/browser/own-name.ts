import type { Me } from '../../contract/identity.ts'
import { byId, openDialog } from './dom.ts'
import { bindForm } from './form.ts'
import { plainName } from './people.ts'

const KEY = 'parvis.name'

/** The name others see: chosen in this browser, else one that says nothing about the person. An address is nobody else's business. */
export const ownName = (me: Me): string => localStorage.getItem(KEY) ?? plainName(me.id)

/** Lets the user choose another name. */
export function bindRename(me: Me, renamed: (name: string) => void): void {
  const button = byId('rename', HTMLButtonElement)
  const input = byId('name-form-name', HTMLInputElement)
  button.disabled = false
  button.onclick = () => {
    input.value = ownName(me)
    const dialog = openDialog('naming')
    input.select()
    bindForm('name-form', async ({ name = '' }) => {
      localStorage.setItem(KEY, name.trim())
      renamed(name.trim())
      dialog.close()
    })
  }
}
