import type { Host } from '../../contract/hosts.ts'
import { OrgId } from '../../contract/orgs.ts'
import { client, openAccount } from '../browser/account.ts'
import { byId } from '../browser/dom.ts'
import { startRequests } from '../browser/requests-panel.ts'
import { startRuns } from '../browser/runs-panel.ts'
import { tellLost } from '../browser/trouble.ts'

/** Every host of an organisation, by name. */
async function hostsOf(orgId: OrgId): Promise<readonly Host[]> {
  const hosts: Host[] = []
  let cursor: string | undefined
  do {
    const page = await client.listHosts({ params: { orgId }, query: { limit: 100, ...(cursor === undefined ? {} : { cursor }) } })
    hosts.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return hosts.sort((a, b) => a.name.localeCompare(b.name))
}

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
