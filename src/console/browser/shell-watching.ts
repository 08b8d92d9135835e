import type { ShellView } from '../../client/client.ts'
import type { Me } from '../../contract/identity.ts'
import { byId, show } from './dom.ts'
import { personOf } from './record-words.ts'

/** Says who watches, whether what is typed goes on, and lets owners stop it. */
export function followWatching(view: ShellView, me: Me): void {
  const lock = byId('lock', HTMLButtonElement)
  let isLocked = false
  lock.onclick = () => view.lock(!isLocked)
  view.on('presence', ({ viewers, input, mayModerate }) => {
    const watchers = viewers.filter(({ role }) => role === 'watcher')
    const badge = byId('shell-watchers')
    show(badge, watchers.length > 0)
    badge.textContent = `${watchers.length} watching`
    badge.title = watchers.map(({ userId }) => personOf(userId, me.id)).join(', ')
    const gate = byId('shell-gate')
    show(gate, input !== 'open')
    gate.textContent = input === 'locked' ? 'input locked' : 'input waits for a watcher'
    isLocked = input === 'locked'
    lock.textContent = isLocked ? 'Unlock input' : 'Lock input'
    show(lock, mayModerate)
  })
  const over = () => {
    for (const part of [lock, byId('shell-watchers'), byId('shell-gate')]) show(part, false)
  }
  view.finished().then(over, over)
}
