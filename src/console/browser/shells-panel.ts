import type { Shell, ShellState } from '../../contract/shell.ts'
import { client } from './account.ts'
import { filled, showMoment } from './dom.ts'
import { bindList, placesOf } from './list.ts'
import { hostName } from './record-words.ts'

/** What a state says about a shell, by colour. */
const TONES: Readonly<Partial<Record<ShellState, string>>> = { open: 'live', connecting: 'live', detached: 'live', failed: 'bad' }

function row(shell: Shell): HTMLElement {
  const piece = filled('shell-row', { name: shell.hostId, state: shell.state })
  const link = piece.slot<HTMLAnchorElement>('name')
  link.href = `/app/shells/${shell.id}`
  const badge = piece.slot('state')
  badge.dataset['tone'] = TONES[shell.state] ?? 'past'
  if (shell.reason) badge.title = shell.reason
  showMoment(piece.slot('created'), shell.createdAt)
  void hostName(shell.hostId).then((name) => {
    link.textContent = name
  })
  return piece.root
}

/** The user's shells; coming back to the page shows how they stand now. */
export function startShells(): void {
  const reload = bindList(placesOf('shells'), { load: (query) => client.listShells({ query }), row })
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void reload())
  void reload()
}
