import { byId, openDialog } from './dom.ts'
import { bindForm } from './form.ts'

/** Asks for a name and hands it on; the dialog closes once that is done. */
export function askName(current: string, named: (name: string) => Promise<void>): void {
  const input = byId('name-form-name', HTMLInputElement)
  input.value = current
  const dialog = openDialog('naming')
  input.select()
  bindForm('name-form', async ({ name = '' }) => {
    await named(name.trim())
    dialog.close()
  })
}
