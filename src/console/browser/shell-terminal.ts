import type { ShellView } from '../../client/client.ts'
import type { Shell } from '../../contract/shell.ts'
import { client } from './account.ts'
import { byId } from './dom.ts'
import { wasOpenedHere } from './opened.ts'
import { followBox, letKeyboardLeave, openTerminal } from './terminal.ts'

/** Output that comes this soon after the last is still the kept past. */
const QUIET_MS = 250
/** What a terminal says by itself when output asks it something: positions, attributes, modes, colours. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character.
const ANSWER = /^\u001b(\[[?>]?[\d;]*\$?[cnRty]|[P\]])/

/** Whether the terminal may answer what output asks. The kept past was answered when it was the present; again, it would be typed as text. */
function followPast(isFresh: boolean) {
  let isPast = !isFresh
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    isPast: () => isPast,
    note() {
      if (!isPast) return
      clearTimeout(timer)
      timer = setTimeout(() => {
        isPast = false
      }, QUIET_MS)
    },
  }
}

/** Shows a shell in a terminal. Its opener types and sets the size; for others the terminal has the size it was given. */
export function connectTerminal(shell: Shell, box: HTMLElement): ShellView {
  const terminal = openTerminal(box)
  const past = followPast(wasOpenedHere(shell.id))
  const view = client.shells.attach(shell.id, {
    output: (bytes) =>
      new Promise((resolve) => {
        past.note()
        terminal.write(bytes, resolve)
      }),
  })
  terminal.onData((data) => {
    if (!past.isPast() || !ANSWER.test(data)) view.write(data)
  })
  terminal.onBinary((data) => view.write(Uint8Array.from(data, (char) => char.charCodeAt(0))))
  letKeyboardLeave(terminal, byId('main').querySelector<HTMLElement>('#end') ?? box)
  let isFollowing = false
  view.on('attached', ({ role, columns, rows }) => {
    past.note()
    terminal.options.disableStdin = role === 'watcher'
    if (role === 'watcher') return terminal.resize(columns, rows)
    if (!isFollowing) followBox(terminal, box, (size) => view.resize(size.columns, size.rows))
    isFollowing = true
    terminal.focus()
  })
  view.on('resized', ({ columns, rows }) => {
    if (view.role === 'watcher') terminal.resize(columns, rows)
  })
  const stop = () => {
    terminal.options.disableStdin = true
    terminal.options.cursorBlink = false
  }
  view.finished().then(stop, stop)
  return view
}
