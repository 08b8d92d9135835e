import type { ShellEnd, ShellView } from '../../client/client.ts'
import type { ViewerRole } from '../../contract/viewer.ts'
import { byId, show } from './dom.ts'

/** How long a good piece of news stays. */
const NEWS_MS = 6000

/** What the dot beside the words says. */
type Tone = 'connecting' | 'open' | 'failed' | 'past'

/** Tells how the shell stands. */
function tellShellStatus(tone: Tone, text: string): void {
  byId('shell-status').dataset['state'] = tone
  byId('shell-status').textContent = text
}

function endOf({ state, reason, exitCode, signal }: ShellEnd): string {
  if (signal) return `Ended by signal ${signal}`
  if (typeof exitCode === 'number') return `Ended with exit status ${exitCode}`
  const word = state === 'failed' ? 'Failed' : 'Ended'
  return reason ? `${word}: ${reason}` : word
}

/** Follows a shell: how the connection stands, what a reconnect cost, how it ended. */
export function followShell(view: ShellView): void {
  let wasAttached = false
  let lostBytes = 0
  let news: ReturnType<typeof setTimeout> | undefined

  function tell(tone: Tone, text: string): void {
    clearTimeout(news)
    tellShellStatus(tone, text)
  }
  const settled = (role: ViewerRole) => tell('open', role === 'watcher' ? 'Connected, watching only' : 'Connected')

  view.on('status', (status) => {
    if (status === 'connecting' && !wasAttached) tell('connecting', 'Connecting…')
    if (status === 'waiting')
      tell('connecting', wasAttached ? 'Connection lost. The shell lives on; trying again…' : 'No connection yet; trying again…')
  })
  view.on('gap', ({ from, to }) => {
    lostBytes += to - from
  })
  view.on('attached', ({ role }) => {
    show(byId('shell-seat'), role === 'watcher')
    byId('shell-seat').textContent = 'read-only'
    if (!wasAttached) settled(role)
    else if (lostBytes > 0) tell('open', `Resumed. ${lostBytes} bytes of output are gone for good.`)
    else {
      tell('open', 'Resumed, nothing lost')
      news = setTimeout(() => settled(role), NEWS_MS)
    }
    wasAttached = true
    lostBytes = 0
  })
  view.finished().then(
    (end) => tell(end.state === 'failed' ? 'failed' : 'past', endOf(end)),
    () => tell('failed', 'Disconnected'),
  )
}
