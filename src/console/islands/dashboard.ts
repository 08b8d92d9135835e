import { openAccount } from '../browser/account.ts'
import { byId, copyText } from '../browser/dom.ts'
import { startOrgs } from '../browser/orgs-panel.ts'
import { startRooms } from '../browser/rooms-panel.ts'
import { startShells } from '../browser/shells-panel.ts'
import { tellTrouble } from '../browser/trouble.ts'

try {
  const me = await openAccount()
  byId('own-id').textContent = me.id
  const copy = byId('copy-id', HTMLButtonElement)
  copy.disabled = false
  copy.onclick = () => copyText(copy, me.id)
  startRooms(me)
  startShells()
  startOrgs(me)
} catch (error) {
  tellTrouble(byId('page-alert'), error)
}
