import * as z from 'zod'
import { HostId } from '../../contract/hosts.ts'
import { UserId } from '../../contract/identity.ts'
import { OrgId, type OrgRole } from '../../contract/orgs.ts'
import type { ShellId } from '../../contract/shell.ts'
import { openDb } from '../platform/db.ts'
import type { Consumer } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { deleteOrgHooks } from './hook-store.ts'
import { deleteOrgPolicy, stranded } from './policy-store.ts'
import { deleteOrgRecordings } from './recording-store.ts'
import { deleteObjects } from './recording-sweep.ts'
import { forgetRunsOfOrg } from './runs.ts'
import { deleteOrgCaKeys } from './secret-store.ts'
import { deleteOrgCommands, deleteOrgShells, liveShellsInOrg, liveShellsOnHost, shellsOfOrg, standingOf } from './store.ts'
import { deleteOrgUsage } from './usage-store.ts'

const HostDeleted = z.strictObject({ hostId: HostId })
const MemberChanged = z.strictObject({ orgId: OrgId, userId: UserId })

const OfOrg = z.strictObject({ orgId: OrgId })

const PAGE_SHELLS = 50

type LivePage = (after: ShellId | undefined) => Promise<readonly { readonly id: ShellId }[]>

/** Does something to every live shell of a list, some at a time. */
async function forEachLive(nextPage: LivePage, work: (id: ShellId) => Promise<void>): Promise<void> {
  let after: ShellId | undefined
  for (;;) {
    const page = await nextPage(after)
    await Promise.all(page.map(({ id }) => work(id)))
    after = page.at(-1)?.id
    if (page.length < PAGE_SHELLS) return
  }
}

/** Closes what still lives on a host that is gone. */
export const closeOnHost: Consumer = async (scope, { payload }) => {
  const { hostId } = HostDeleted.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  await forEachLive(
    (after) => liveShellsOnHost(db, hostId, { after, limit: PAGE_SHELLS }),
    (id) => scope.env.SHELLS.getByName(id).endShell({ reason: 'Its host was removed.', actorId: null }),
  )
}

/** Ends the live shells of an organisation whose opener may not reach their host any more. */
export const applyReach: Consumer = async (scope, { payload }) => {
  const { orgId } = OfOrg.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  await forEachLive(
    (after) => stranded(db, orgId, { now: scope.now(), after, limit: PAGE_SHELLS }),
    (id) => scope.env.SHELLS.getByName(id).endShell({ reason: 'Its opener may not reach this host any more.', actorId: null }),
  )
}

/** Tells the live shells of an organisation how a member stands now, so the event may come late, twice or out of order. */
export const applyMember: Consumer = async (scope, { payload }) => {
  const { orgId, userId } = MemberChanged.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  const role = await roleNow(scope, orgId, userId)
  await forEachLive(
    (after) => liveShellsInOrg(db, orgId, { after, limit: PAGE_SHELLS }),
    (id) => scope.env.SHELLS.getByName(id).applyMember({ userId, role }),
  )
}

/** Forgets the shells, output included, and the commands of an organisation that is gone. */
export const forgetOrg: Consumer = async (scope, { payload }) => {
  const { orgId } = OfOrg.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  for (;;) {
    const page = await shellsOfOrg(db, orgId, PAGE_SHELLS)
    if (page.length === 0) break
    const ids = page.map(({ id }) => id)
    await Promise.all(ids.map((id) => scope.env.SHELLS.getByName(id).forgetShell({ recording: 'drop' })))
    await deleteOrgShells(db, orgId, ids)
  }
  await db.batch([...deleteOrgPolicy(db, orgId), deleteOrgHooks(db, orgId), deleteOrgUsage(db, orgId)])
  await forgetRunsOfOrg(scope, orgId)
  await deleteOrgCommands(db, orgId)
  await deleteObjects(scope.env, `recordings/${orgId}/`)
  await db.batch(deleteOrgRecordings(db, orgId))
  // A keyframe that was made meanwhile.
  await deleteObjects(scope.env, `recordings/${orgId}/`)
  await deleteOrgCaKeys(db, orgId)
}

async function roleNow(scope: Scope, orgId: OrgId, userId: UserId): Promise<OrgRole | null> {
  const { db } = openDb(scope.env.DB, undefined)
  const [standing] = await standingOf(db, { orgId, now: scope.now() }, [{ userId, sessionId: '' }])
  return standing?.role ?? null
}
