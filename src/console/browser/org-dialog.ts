import type { UserId } from '../../contract/identity.ts'
import type { Invitation } from '../../contract/invitations.ts'
import { type Org, OrgRole } from '../../contract/orgs.ts'
import { client } from './account.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { byId, filled, openDialog, showMoment } from './dom.ts'
import { bindForm } from './form.ts'
import { bindList } from './list.ts'
import { calm } from './trouble.ts'

function bindInvitations({ id: orgId }: Org): () => Promise<void> {
  const alert = byId('invitations-alert')

  function row({ id: invitationId, email, role, expiresAt }: Invitation): HTMLElement {
    const piece = filled('invitation-row', { email, role })
    const params = { orgId, invitationId }
    showMoment(piece.slot('expires'), expiresAt)
    const [resend, withdraw] = [piece.slot<HTMLButtonElement>('resend'), piece.slot<HTMLButtonElement>('withdraw')]
    for (const button of [resend, withdraw]) button.setAttribute('aria-description', email)
    bindButton(resend, alert, async () => {
      await client.resendOrgInvitation({ params })
      resend.textContent = 'Sent'
    })
    bindDangerButton(withdraw, alert, async () => {
      await client.withdrawOrgInvitation({ params })
      await reload()
    })
    return piece.root
  }

  const places = { list: byId('invitations-list'), more: byId('invitations-more'), empty: byId('invitations-empty'), alert }
  places.list.replaceChildren()
  const reload = bindList(places, { load: (query) => client.listOrgInvitations({ params: { orgId }, query }), row })
  return reload
}

/** What the owners of an organisation do with it: invite, rename, hand over, delete. */
export function openOrg(org: Org, changed: () => void): void {
  const params = { orgId: org.id }
  byId('org-title').textContent = org.name
  for (const id of ['invitations', 'invite', 'rename-org', 'transfer-org', 'delete-org']) calm(byId(`${id}-alert`))
  const reload = bindInvitations(org)
  const dialog = openDialog('org')
  const close = () => {
    dialog.close()
    changed()
  }
  const invite = bindForm('invite', async ({ email = '', role }) => {
    await client.inviteOrgMember({ params, body: { email, role: OrgRole.parse(role) } })
    invite.reset()
    await reload()
  })
  invite.reset()
  byId('rename-org-name', HTMLInputElement).value = org.name
  bindForm('rename-org', async ({ name = '' }) => {
    await client.renameOrg({ params, body: { name } })
    close()
  })
  bindForm('transfer-org', async ({ userId = '' }) => {
    await client.transferOrg({ params, body: { userId: userId.trim() as UserId } })
    close()
  }).reset()
  bindDangerButton(byId('delete-org', HTMLButtonElement), byId('delete-org-alert'), async () => {
    await client.deleteOrg({ params })
    close()
  })
  void reload()
}
