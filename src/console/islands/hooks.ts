import { OrgId } from '../../contract/orgs.ts'
import { client, openAccount } from '../browser/account.ts'
import { byId } from '../browser/dom.ts'
import { startHooks } from '../browser/hooks-panel.ts'
import { tellLost } from '../browser/trouble.ts'
import { startWebhooks } from '../browser/webhooks-panel.ts'

async function start(): Promise<void> {
  await openAccount()
  const org = await client.getOrg({ params: { orgId: OrgId.parse(byId('hooks-page').dataset['orgId']) } })
  byId('hooks-name').textContent = `Hooks of ${org.name}`
  document.title = `Hooks of ${org.name} · Parvis`
  const webhooks = startWebhooks(org.id, () => reloadHooks())
  const reloadHooks = startHooks(org.id, webhooks.all)
  await webhooks.reload()
  await reloadHooks()
}

start().catch(tellLost)
