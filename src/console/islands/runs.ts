import { OrgId } from '../../contract/orgs.ts'
import { client, openAccount } from '../browser/account.ts'
import { byId } from '../browser/dom.ts'
import { hostsOf } from '../browser/hosts.ts'
import { startRequests } from '../browser/requests-panel.ts'
import { startRuns } from '../browser/runs-panel.ts'
import { tellLost } from '../browser/trouble.ts'

async function start(): Promise<void> {
  const me = await openAccount()
  const org = await client.getOrg({ params: { orgId: OrgId.parse(byId('runs-page').dataset['orgId']) } })
  byId('runs-name').textContent = `Runs of ${org.name}`
  document.title = `Runs of ${org.name} · Parvis`
  const hosts = await hostsOf(org.id)
  startRuns(org, { me, hosts })
  startRequests(org, { me, hosts })
}

start().catch(tellLost)
