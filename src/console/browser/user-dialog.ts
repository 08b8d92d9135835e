import type { ManagedUser, ManagedUserDetail } from '../../contract/admin.ts'
import type { Activity } from '../../contract/audit.ts'
import type { Me } from '../../contract/identity.ts'
import { isAllowed, PlatformRole } from '../../contract/permission.ts'
import { client } from './account.ts'
import { actionSaid, causeSaid } from './activity-words.ts'
import { bindDangerButton } from './button.ts'
import { deviceOf, placeOf } from './devices-panel.ts'
import { byId, filled, openDialog, show, showMoment } from './dom.ts'
import { bindForm } from './form.ts'
import { bindList } from './list.ts'
import { withStepUp } from './step-up.ts'
import { calm, tellTrouble } from './trouble.ts'
import { badgesOf } from './users-panel.ts'

const DEEDS = 10

const factorsSaid = ({ hasPassword, hasTotp, passkeys, recoveryCodesLeft }: ManagedUserDetail['factors']): string =>
  [
    hasPassword && 'password',
    hasTotp && 'authenticator app',
    passkeys > 0 && `${passkeys} ${passkeys === 1 ? 'passkey' : 'passkeys'}`,
    recoveryCodesLeft > 0 && `${recoveryCodesLeft} recovery codes`,
  ]
    .filter(Boolean)
    .join(', ') || 'mail alone'

function sessionRow(session: ManagedUserDetail['sessions'][number]): HTMLElement {
  const piece = filled('session-row', { name: session.name ?? deviceOf(session), place: placeOf(session) })
  showMoment(piece.slot('seen'), session.lastSeenAt)
  return piece.root
}

function deedRow({ action, cause, country, by, at }: Activity): HTMLElement {
  const who = by === 'you' ? '' : `by ${by === 'other' ? 'somebody else' : by}`
  const from = [cause && causeSaid(cause, 'en'), country, who].filter(Boolean).join(' · ')
  const piece = filled('deed-row', { action: actionSaid(action, 'en'), from })
  piece.slot('action').title = action
  showMoment(piece.slot('at'), at)
  return piece.root
}

const boxOf = (role: PlatformRole) => byId(`role-${role}`, HTMLInputElement)

function draw(user: ManagedUserDetail): void {
  const isDisabled = user.disabledAt !== null
  byId('user-title').textContent = user.email
  byId('user-badges').replaceChildren(...badgesOf(user))
  byId('user-id').textContent = user.id
  showMoment(byId('user-created'), user.createdAt)
  byId('user-factors').textContent = factorsSaid(user.factors)
  byId('standing-act').textContent = isDisabled ? 'Enable' : 'Disable'
  byId('standing-act').classList.toggle('danger', !isDisabled)
  for (const role of PlatformRole.options) boxOf(role).checked = user.roles.includes(role)
  byId('sessions-list').replaceChildren(...user.sessions.map(sessionRow))
  show(byId('sessions-empty'), user.sessions.length === 0)
}

/** Opens a user: how they sign in, where, what happened, and what may be changed about them. */
export function openUser({ id: userId }: ManagedUser, { me, changed }: { readonly me: Me; readonly changed: () => Promise<void> }): void {
  const params = { userId }
  const alert = byId('user-alert')
  let shown: ManagedUserDetail | undefined
  const deeds = bindList(
    { list: byId('deeds-list'), more: byId('deeds-more'), alert: byId('deeds-alert') },
    { load: (query) => client.listUserActivity({ params, query: { ...query, limit: DEEDS } }), row: deedRow },
  )
  const reload = async () => {
    shown = await client.getUser({ params })
    draw(shown)
    if (isAllowed('audit.read', me.roles)) await deeds()
  }
  const after = async () => {
    await reload()
    await changed()
  }
  const standing = bindForm('standing', async ({ reason = '' }) => {
    const isDisabled = shown?.disabledAt !== null
    await withStepUp(async () => {
      await (isDisabled ? client.enableUser({ params, body: { reason } }) : client.disableUser({ params, body: { reason } }))
      standing.reset()
      await after()
    })
  })
  const lost = bindForm('lost', async ({ reason = '' }) => {
    await withStepUp(async () => {
      await client.removeUserFactors({ params, body: { reason } })
      lost.reset()
      await after()
    })
  })
  bindForm('roles', () =>
    withStepUp(async () => {
      await client.setUserRoles({ params, body: { roles: PlatformRole.options.filter((role) => boxOf(role).checked) } })
      await after()
    }),
  )
  bindDangerButton(byId('end-sessions', HTMLButtonElement), alert, async () => {
    await withStepUp(async () => {
      await client.endUserSessions({ params })
      await after()
    })
  })
  for (const each of [alert, byId('standing-alert'), byId('lost-alert'), byId('roles-alert')]) calm(each)
  standing.reset()
  lost.reset()
  byId('deeds-list').replaceChildren()
  byId('sessions-list').replaceChildren()
  openDialog('user')
  reload().catch((error: unknown) => tellTrouble(alert, error))
}
