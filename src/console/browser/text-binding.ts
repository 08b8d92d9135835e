import { UndoManager, type Text as YText, type YTextEvent } from 'yjs'
import { asShown, type Change, changeBetween, changesOf, documentOffset, moveSelection, type Selection } from './text-change.ts'

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

interface State {
  readonly text: YText
  readonly area: HTMLTextAreaElement
  /** Marks what was typed here. */
  readonly origin: symbol
  readonly history: UndoManager
  /** What the text area showed when it last agreed with the document. */
  shown: string
  /** The document now, as a text area shows it. */
  latest: string
  /** What led from the one to the other. */
  missed: readonly Change[]
  isComposing: boolean
}

/**
 * Binds a shared text to a text area. While an input method composes, the area is left alone: what others write meanwhile is kept
 * aside and both sides are joined when the composition ends.
 */
export function bindText(text: YText, area: HTMLTextAreaElement): TextBinding {
  const origin = Symbol('text-binding')
  const history = new UndoManager(text, { trackedOrigins: new Set([origin]) })
  const s: State = { text, area, origin, history, shown: '', latest: asShown(text.toString()), missed: [], isComposing: false }
  const abort = new AbortController()
  const pullThis = (event: YTextEvent) => pull(s, event)
  text.observe(pullThis)
  listen(s, abort.signal)
  render(s, { start: 0, end: 0 })
  return {
    stop() {
      abort.abort()
      text.unobserve(pullThis)
      history.destroy()
    },
  }
}

function listen(s: State, signal: AbortSignal): void {
  const on = <K extends keyof HTMLElementEventMap>(type: K, listener: (event: HTMLElementEventMap[K]) => void) =>
    s.area.addEventListener(type, listener, { signal })
  on('input', () => s.isComposing || push(s))
  on('compositionstart', () => {
    s.isComposing = true
  })
  on('compositionend', () => {
    s.isComposing = false
    push(s)
  })
  on('keydown', (event) => {
    const direction = historyKey(event)
    if (direction && !s.isComposing) travel(s, direction, event)
  })
  on('beforeinput', (event) => {
    if (event.inputType === 'historyUndo') travel(s, 'undo', event)
    if (event.inputType === 'historyRedo') travel(s, 'redo', event)
  })
}

/** Shows the document as it is. */
function render(s: State, selection: Selection): void {
  const { selectionDirection, scrollTop } = s.area
  s.area.value = s.latest
  s.area.setSelectionRange(selection.start, selection.end, selectionDirection)
  s.area.scrollTop = scrollTop
  s.shown = s.latest
  s.missed = []
}

const renderMissed = (s: State) => render(s, s.missed.reduce(moveSelection, { start: s.area.selectionStart, end: s.area.selectionEnd }))

/** Takes what was typed over to the document, at the place it has there by now. */
function push(s: State): void {
  const { area } = s
  const local = changeBetween(s.shown, area.value, area.selectionEnd)
  if (!local || area.readOnly) return renderMissed(s)
  const place = s.missed.reduce(moveSelection, { start: local.at, end: local.at + local.removed })
  write(s, place, local.inserted)
  s.latest = asShown(s.text.toString())
  const caret = place.start + local.inserted.length
  // Writing the value again would end the browser's own notion of where typing goes on.
  if (s.latest === area.value) s.shown = s.latest
  else render(s, { start: caret, end: caret })
}

function write({ text, origin }: State, { start, end }: Selection, inserted: string): void {
  const whole = text.toString()
  const from = documentOffset(whole, start)
  const length = documentOffset(whole, end) - from
  text.doc?.transact(() => {
    if (length > 0) text.delete(from, length)
    if (inserted) text.insert(from, inserted)
  }, origin)
}

/** Takes what others wrote over to the text area. */
function pull(s: State, event: YTextEvent): void {
  if (event.transaction.origin === s.origin) return
  const next = asShown(s.text.toString())
  s.missed = [...s.missed, ...explain(s.latest, next, event.delta)]
  s.latest = next
  if (!s.isComposing) renderMissed(s)
}

function travel({ area, history }: State, direction: 'undo' | 'redo', event: Event): void {
  event.preventDefault()
  if (!area.readOnly) history[direction]()
}
