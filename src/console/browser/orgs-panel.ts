import type { Host } from '../../contract/hosts.ts'
import type { Me, UserId } from '../../contract/identity.ts'
import { type Org, OrgRole } from '../../contract/orgs.ts'
import { client } from './account.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { openCommand } from './command-dialog.ts'
import { filled, type Piece, show } from './dom.ts'
import { bindForm } from './form.ts'
import { openHost } from './host-dialog.ts'
import { bindList, placesOf } from './list.ts'
import { openMembers } from './members-dialog.ts'
import { keepOpened } from './opened.ts'
import { openOrg } from './org-dialog.ts'
import { withStepUp } from './step-up.ts'

const ROLES = OrgRole.options.toReversed()

function openPlaces({ id: orgId, name, role }: Org, me: Me, changed: () => void): void {
  openMembers({
    title: `Members of ${name}`,
    ownId: me.id,
    canManage: role === 'owner',
    act: 'Change role',
    roles: ROLES,
    list: (query) => client.listOrgMembers({ params: { orgId }, query }),
    put: (userId, chosen) => client.putOrgMember({ params: { orgId, userId: userId as UserId }, body: { role: OrgRole.parse(chosen) } }),
    remove: async (userId) => {
      await client.removeOrgMember({ params: { orgId, userId: userId as UserId } })
      changed()
    },
  })
}

const targetOf = ({ kind, user, address, port }: Host) => {
  const place = `${address.includes(':') ? `[${address}]` : address}${kind === 'ssh' && port === 22 ? '' : `:${port}`}`
  return user === null ? `${kind} ${place}` : `${user}@${place}`
}

interface HostContext {
  readonly role: OrgRole
  readonly alert: HTMLElement
  readonly changed: () => Promise<void>
}

function hostRow(host: Host, { role, alert, changed }: HostContext): HTMLElement {
  const [key] = host.keys
  const piece = filled('host-row', { name: host.name, target: targetOf(host), fingerprint: key ? `${key.type} ${key.fingerprint}` : '' })
  const [open, run, forget] = ['open', 'run', 'forget'].map((name) => piece.slot<HTMLButtonElement>(name))
  if (!open || !run || !forget) return piece.root
  for (const button of [open, run, forget]) button.setAttribute('aria-description', host.name)
  show(open, role !== 'reader')
  show(run, role !== 'reader' && host.kind === 'ssh')
  show(forget, role === 'owner')
  bindButton(open, alert, async () => {
    const shell = await withStepUp(() => client.openShell({ body: { hostId: host.id } }))
    if (!shell) return
    keepOpened(shell.id)
    location.assign(`/app/shells/${shell.id}`)
  })
  run.onclick = () => openCommand(host)
  bindDangerButton(forget, alert, async () => {
    await client.deleteHost({ params: { hostId: host.id } })
    await changed()
  })
  return piece.root
}

/** Fills one organisation; its hosts are asked for when it is first unfolded. */
function bindOrg(org: Org, { root, slot }: Piece, me: Me & { readonly changed: () => void }): void {
  const alert = slot('alert')
  const reload: () => Promise<void> = bindList(
    { list: slot('hosts'), more: slot('more'), empty: slot('empty'), alert },
    {
      load: (query) => client.listHosts({ params: { orgId: org.id }, query }),
      row: (host: Host) => hostRow(host, { role: org.role, alert, changed: () => reload() }),
    },
  )
  root.querySelector('details')?.addEventListener('toggle', () => void reload(), { once: true })
  const add = slot('add')
  show(add, org.role === 'owner')
  add.onclick = () => openHost(org, reload)
  slot<HTMLAnchorElement>('runs').href = `/app/runs/${org.id}`
  slot<HTMLAnchorElement>('records').href = `/app/records/${org.id}`
  const hooks = slot<HTMLAnchorElement>('hooks')
  hooks.href = `/app/hooks/${org.id}`
  show(hooks, org.role === 'owner')
  slot('members').onclick = () => openPlaces(org, me, me.changed)
  const manage = slot('manage')
  show(manage, org.role === 'owner')
  manage.onclick = () => openOrg(org, me.changed)
}

/** The user's organisations and their hosts. */
export function startOrgs(me: Me): void {
  /** Rows live through a reload, so that what is unfolded stays so and open dialogs still know their row. */
  const rows = new Map<string, { readonly drawn: string; readonly root: HTMLElement }>()
  const changed = () => void reload()

  function draw(org: Org): HTMLElement {
    const piece = filled('org-row', { name: org.name, role: org.role })
    bindOrg(org, piece, { ...me, changed })
    return piece.root
  }

  function row(org: Org): HTMLElement {
    const drawn = JSON.stringify(org)
    const before = rows.get(org.id)
    if (before?.drawn === drawn) return before.root
    const root = draw(org)
    root.querySelector('details')?.toggleAttribute('open', before?.root.querySelector('details')?.open ?? false)
    rows.set(org.id, { drawn, root })
    return root
  }

  const places = placesOf('orgs')
  const reload = bindList(places, { load: (query) => client.listOrgs({ query }), row })
  const unfoldNewest = () => places.list.querySelector('details')?.setAttribute('open', '')
  const form = bindForm('create-org', async ({ name = '' }) => {
    await client.createOrg({ body: { name } })
    form.reset()
    await reload()
    unfoldNewest()
  })
  void reload().then(unfoldNewest)
}
