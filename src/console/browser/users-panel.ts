import type { ManagedUser } from '../../contract/admin.ts'
import { PlatformRole } from '../../contract/permission.ts'
import { client } from './account.ts'
import { filled, type Piece, showMoment } from './dom.ts'
import { bindForm, type Entries } from './form.ts'
import { bindList, placesOf } from './list.ts'

const badge = (text: string, tone?: string): HTMLElement => {
  const element = Object.assign(document.createElement('span'), { className: 'badge', textContent: text })
  if (tone) element.dataset['tone'] = tone
  return element
}

/** What is to be noticed of a user. */
export const badgesOf = ({ roles, disabledAt }: ManagedUser): HTMLElement[] => [
  ...roles.map((role) => badge(role, 'live')),
  ...(disabledAt === null ? [] : [badge('disabled', 'bad')]),
]

/** Users by how their address or a part of it begins, role or standing. The answer reloads them. */
export function startUsers(open: (user: ManagedUser) => void): () => Promise<void> {
  let asked: Entries = {}

  function row(user: ManagedUser): HTMLElement {
    const piece: Piece = filled('user-row', { email: user.email })
    piece.slot('email').onclick = () => open(user)
    piece.slot('badges').replaceChildren(...badgesOf(user))
    showMoment(piece.slot('created'), user.createdAt)
    return piece.root
  }

  const load = (query: { cursor?: string }) => {
    const { text, role, state } = asked
    return client.listUsers({
      query: {
        ...query,
        limit: 20,
        text,
        role: role === undefined ? undefined : PlatformRole.parse(role),
        state: state === 'active' || state === 'disabled' ? state : undefined,
      },
    })
  }
  const reload = bindList(placesOf('users'), { load, row })
  bindForm('search', async (entries) => {
    asked = entries
    await reload()
  })
  return reload
}
