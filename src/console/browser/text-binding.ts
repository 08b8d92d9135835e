import { UndoManager, type Text as YText, type YTextEvent } from 'yjs'
import { asShown, type Change, changeBetween, changesOf, documentOffset, moveSelection } from './text-change.ts'

/** A text area that shows a shared text and, unless it is read-only, writes to it. */
export interface TextBinding {
  readonly stop: () => void
}

const applied = (text: string, { at, removed, inserted }: Change) => text.slice(0, at) + inserted + text.slice(at + removed)

/** What turned `before` into `after`: the delta, unless it speaks of a document that a text area cannot show unit by unit. */
function explain(before: string, after: string, delta: YTextEvent['delta']): readonly Change[] {
  const changes = changesOf(delta)
  if (changes.reduce(applied, before) === after) return changes
  const change = changeBetween(before, after, after.length)
  return change ? [change] : []
}

/** The shortcuts that a text area spends on its own history, which knows nothing of other people's edits. */
function historyKey({ key, metaKey, ctrlKey, altKey, shiftKey }: KeyboardEvent): 'undo' | 'redo' | undefined {
  if (altKey || metaKey === ctrlKey) return undefined
  const letter = key.toLowerCase()
  if (letter === 'z') return shiftKey ? 'redo' : 'undo'
  return letter === 'y' && ctrlKey ? 'redo' : undefined
}

/**
 * Binds a shared text to a text area. While an input method composes, the area is left alone: what others write meanwhile is kept
 * aside and both sides are joined when the composition ends.
 */
export function bindText(text: YText, area: HTMLTextAreaElement): TextBinding {
  const origin = Symbol('text-binding')
  const history = new UndoManager(text, { trackedOrigins: new Set([origin]) })
  const abort = new AbortController()
  let shown = ''
  let latest = ''
  let missed: readonly Change[] = []
  let isComposing = false

  function render(selection: { readonly start: number; readonly end: number }): void {
    const { selectionDirection, scrollTop } = area
    area.value = latest
    area.setSelectionRange(selection.start, selection.end, selectionDirection)
    area.scrollTop = scrollTop
    shown = latest
    missed = []
  }

  const renderMissed = () => render(missed.reduce(moveSelection, { start: area.selectionStart, end: area.selectionEnd }))

  function push(): void {
    const local = changeBetween(shown, area.value, area.selectionEnd)
    if (!local || area.readOnly) return renderMissed()
    const place = missed.reduce(moveSelection, { start: local.at, end: local.at + local.removed })
    const whole = text.toString()
    const from = documentOffset(whole, place.start)
    const length = documentOffset(whole, place.end) - from
    text.doc?.transact(() => {
      if (length > 0) text.delete(from, length)
      if (local.inserted) text.insert(from, local.inserted)
    }, origin)
    latest = asShown(text.toString())
    const caret = place.start + local.inserted.length
    // Writing the value again would end the browser's own notion of where typing goes on.
    if (latest === area.value) shown = latest
    else render({ start: caret, end: caret })
  }

  function pull(event: YTextEvent): void {
    if (event.transaction.origin === origin) return
    const next = asShown(text.toString())
    missed = [...missed, ...explain(latest, next, event.delta)]
    latest = next
    if (!isComposing) renderMissed()
  }

  function travel(direction: 'undo' | 'redo', event: Event): void {
    event.preventDefault()
    if (!area.readOnly) history[direction]()
  }

  const on = <K extends keyof HTMLElementEventMap>(type: K, listener: (event: HTMLElementEventMap[K]) => void) =>
    area.addEventListener(type, listener, { signal: abort.signal })
  on('input', () => isComposing || push())
  on('compositionstart', () => {
    isComposing = true
  })
  on('compositionend', () => {
    isComposing = false
    push()
  })
  on('keydown', (event) => {
    const direction = historyKey(event)
    if (direction && !isComposing) travel(direction, event)
  })
  on('beforeinput', (event) => {
    if (event.inputType === 'historyUndo') travel('undo', event)
    if (event.inputType === 'historyRedo') travel('redo', event)
  })
  text.observe(pull)
  latest = asShown(text.toString())
  render({ start: 0, end: 0 })

  return {
    stop() {
      abort.abort()
      text.unobserve(pull)
      history.destroy()
    },
  }
}
