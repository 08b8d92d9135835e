import type { Me } from '../../contract/identity.ts'
import { type Shell, ShellId } from '../../contract/shell.ts'
import { client, openAccount } from '../browser/account.ts'
import { bindDangerButton } from '../browser/button.ts'
import { byId, show } from '../browser/dom.ts'
import { answerPrompts } from '../browser/shell-prompt.ts'
import { followShell } from '../browser/shell-status.ts'
import { connectTerminal } from '../browser/shell-terminal.ts'
import { followWatching } from '../browser/shell-watching.ts'
import { tellLost, tellTrouble } from '../browser/trouble.ts'

/** A host that was forgotten has no name any more. */
const hostName = ({ hostId }: Shell): Promise<string> =>
  client.getHost({ params: { hostId } }).then(
    ({ name }) => name,
    () => hostId,
  )

/** The opener may end a shell, and so may owners of its organisation. */
async function mayEnd({ userId, orgId }: Shell, me: Me): Promise<boolean> {
  if (userId === me.id) return true
  return client.getOrg({ params: { orgId } }).then(
    ({ role }) => role === 'owner',
    () => false,
  )
}

async function start(): Promise<void> {
  const me = await openAccount()
  const shellId = ShellId.parse(byId('shell').dataset['shellId'])
  const shell = await client.getShell({ params: { shellId } })
  const name = await hostName(shell)
  byId('shell-name').textContent = name
  document.title = `${name} · Parvis`

  const view = connectTerminal(shell, byId('terminal'))
  followShell(view)
  followWatching(view, me)
  answerPrompts(view)
  const end = byId('end', HTMLButtonElement)
  const alert = byId('page-alert')
  bindDangerButton(end, alert, view.end)
  show(end, await mayEnd(shell, me))
  view.on('problem', (error) => tellTrouble(alert, error))
  const hideEnd = () => show(end, false)
  view.finished().then(hideEnd, hideEnd)
}

start().catch(tellLost)
