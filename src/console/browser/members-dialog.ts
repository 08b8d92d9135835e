import { bindDangerButton } from './button.ts'
import { byId, filled, openDialog, show } from './dom.ts'
import { bindForm } from './form.ts'
import { bindList } from './list.ts'
import { calm } from './trouble.ts'

interface Member {
  readonly userId: string
  readonly role: string
}

/** Whose members they are, and what the one who looks may do. */
export interface Membership<M extends Member> {
  readonly title: string
  readonly ownId: string
  readonly canManage: boolean
  /** What giving a user a role is called. */
  readonly act: string
  /** Roles to choose from, the least first. */
  readonly roles: readonly M['role'][]
  readonly list: (query: { cursor?: string }) => Promise<{ readonly items: readonly M[]; readonly nextCursor?: string | undefined }>
  readonly put: (userId: string, role: string) => Promise<unknown>
  readonly remove: (userId: string) => Promise<unknown>
}

const option = (role: string) => Object.assign(document.createElement('option'), { value: role, textContent: role })

/** Shows who belongs to a room or an organisation; owners add, change and remove. */
export function openMembers<M extends Member>(group: Membership<M>): void {
  const alert = byId('add-member-alert')
  byId('members-title').textContent = group.title
  byId('add-member').ariaLabel = group.act
  byId('add-member-act').textContent = group.act
  byId('add-member-role').replaceChildren(...group.roles.map(option))

  function row({ userId, role }: M): HTMLElement {
    const isSelf = userId === group.ownId
    const piece = filled('member-row', { userId, role, self: isSelf ? 'you' : '' })
    const remove = piece.slot<HTMLButtonElement>('remove')
    remove.textContent = isSelf ? 'Leave' : 'Remove'
    show(remove, group.canManage || isSelf)
    bindDangerButton(remove, alert, async () => {
      await group.remove(userId)
      await reload()
    })
    return piece.root
  }

  const reload = bindList({ list: byId('members-list'), more: byId('members-more'), alert }, { load: group.list, row })
  const form = bindForm('add-member', async ({ userId = '', role = '' }) => {
    await group.put(userId.trim(), role)
    form.reset()
    await reload()
  })
  show(form, group.canManage)
  byId('members-list').replaceChildren()
  calm(alert)
  openDialog('members')
  void reload()
}
