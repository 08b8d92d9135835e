import type { Host } from '../../contract/hosts.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { client } from './account.ts'

/** Every host of an organisation, by name. */
export async function hostsOf(orgId: OrgId): Promise<readonly Host[]> {
  const hosts: Host[] = []
  let cursor: string | undefined
  do {
    const page = await client.listHosts({ params: { orgId }, query: { limit: 100, ...(cursor === undefined ? {} : { cursor }) } })
    hosts.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return hosts.sort((a, b) => a.name.localeCompare(b.name))
}
