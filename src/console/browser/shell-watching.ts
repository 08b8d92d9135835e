import type { ShellView } from '../../client/client.ts'
import type { Me } from '../../contract/identity.ts'
import { byId, show } from './dom.ts'
import { personOf } from './record-words.ts'

/** Says that it will end by itself, and counts down. */
function followEnding(view: ShellView): () => void {
  const badge = byId('shell-ending')
  let timer: ReturnType<typeof setInterval> | undefined
  const stop = () => {
    clearInterval(timer)
    show(badge, false)
  }
  view.on('ending', ({ cause, seconds }) => {
    stop()
    if (cause === null) return
    const endsAt = Date.now() + (seconds ?? 0) * 1000
    const count = () => {
      const left = `${Math.max(0, Math.round((endsAt - Date.now()) / 1000))} s`
      badge.textContent = cause === 'idle' ? `ends in ${left}, unless somebody types` : `its time is over in ${left}`
    }
    count()
    timer = setInterval(count, 1000)
    show(badge, true)
  })
  return stop
}

/** Says who watches, whether what is typed goes on and for how long, and lets owners stop it. */
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
  const stopEnding = followEnding(view)
  const over = () => {
    stopEnding()
    for (const part of [lock, byId('shell-watchers'), byId('shell-gate')]) show(part, false)
  }
  view.finished().then(over, over)
}
