import type { OrgId } from '../../contract/orgs.ts'
import { OVERSIGHT_DEFAULT, type Oversight } from '../../contract/oversight.ts'
import { auditIfChanged } from '../audit/service.ts'
import { orgRoleOf, requireOrgRole } from '../orgs/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { type OversightRow, oversightOf, putOversight as putRow } from './recording-store.ts'

/** What a row of `shell_oversight` says, or the want of one. */
export function oversightIn(row: OversightRow | undefined): Oversight {
  if (!row) return OVERSIGHT_DEFAULT
  const { orgId: _, updatedAt: __, ...oversight } = row
  return oversight
}

/** What an organisation asks of its shells now, for its members. @throws Problem `not-found` */
export async function getOversight(scope: Scope, actor: Actor, orgId: OrgId): Promise<Oversight> {
  await orgRoleOf(scope, actor, orgId)
  const [row] = await oversightOf(scope.db, orgId)
  return oversightIn(row)
}

/** Changes it, for owners. @throws Problem `not-found` or `forbidden` */
export async function putOversight(
  scope: Scope,
  actor: Actor,
  to: { readonly orgId: OrgId; readonly wanted: Oversight },
): Promise<Oversight> {
  const { orgId, wanted } = to
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const cause = Object.entries(wanted)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
  await scope.db.batch([
    putRow(scope.db, { orgId, callerId: actor.userId, now: scope.now() }, wanted),
    auditIfChanged(scope, { action: 'shell.oversight', subject: orgId, orgId, cause }),
  ])
  return wanted
}
