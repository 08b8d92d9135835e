import { isAllowed } from '../../contract/permission.ts'
import { Problem } from '../../contract/problem.ts'
import { client, isCaretaker, leaveForLogin, openAccount } from '../browser/account.ts'
import { bindDangerButton } from '../browser/button.ts'
import { byId, show } from '../browser/dom.ts'
import { startRecord } from '../browser/record-panel.ts'
import { withStepUp } from '../browser/step-up.ts'
import { tellLost, tellTrouble } from '../browser/trouble.ts'
import { openUser } from '../browser/user-dialog.ts'
import { startUsers } from '../browser/users-panel.ts'

const showAll = (attribute: string, isShown: boolean): void => {
  for (const part of document.querySelectorAll<HTMLElement>(`[${attribute}]`)) show(part, isShown)
}

try {
  const me = await openAccount()
  if (!isCaretaker(me)) throw new Problem('forbidden')
  const canRead = isAllowed('audit.read', me.roles)
  showAll('data-manage', isAllowed('users.manage', me.roles))
  showAll('data-record', canRead)
  show(byId('page'), true)
  const reloadRecord = startRecord()
  const changed = async () => {
    await Promise.all([reloadUsers(), ...(canRead ? [reloadRecord()] : [])])
  }
  const reloadUsers = startUsers((user) => openUser(user, { me, changed }))
  bindDangerButton(byId('end-everything', HTMLButtonElement), byId('emergency-alert'), () =>
    withStepUp(async () => {
      await client.endAllSessions()
      leaveForLogin()
    }),
  )
  await changed()
} catch (error) {
  if (error instanceof Problem) tellLost(error)
  else tellTrouble(byId('page-alert'), error)
}
