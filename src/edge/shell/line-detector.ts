import { createLineScreen } from './line-screen.ts'

/** What was entered into a terminal, as far as it showed it. */
export interface EnteredLine {
  /** What stood behind the prompt; empty when the terminal showed nothing of what was typed. */
  readonly text: string
  readonly isTyped: boolean
}

/**
 * Reads command lines off a terminal: what stands behind the prompt when Enter is answered by a new line. It looks at what is shown, never at what is
 * typed, so a password that nobody sees is not in it. A program can draw what it likes: this helps to find one's way and enforces nothing.
 */
export interface LineDetector {
  /** The opener typed this. */
  readonly typed: (bytes: Uint8Array) => void
  readonly shown: (bytes: Uint8Array) => void
  readonly resize: (columns: number) => void
}

const ENTER = 13
const LINE_FEED = 10
const INTERRUPT = 3
/** Of more output than this at once, which nobody has asked for, only the last line matters, and of that only its end. */
const BURST_BYTES = 2048
const LINE_BYTES_MAX = 4096
const TEXT_CHARS_MAX = 2000

interface State {
  /** Where the cursor stood when the first key of this line was hit. */
  promptEnd: number | undefined
  /** The prompt before, by which lines are known that were typed ahead. */
  prompt: string
  enters: number
  isTyped: boolean
  /** What was typed, while it is plain text: in memory alone, to know a program's words from an echo. */
  plain: string | undefined
}

/** Begins before the first prompt. */
export function createLineDetector(columns: number, onEntered: (line: EnteredLine) => void): LineDetector {
  const s: State = { promptEnd: undefined, prompt: '', enters: 0, isTyped: false, plain: '' }
  const screen = createLineScreen(columns, (line) => {
    if (s.enters > 0 && !screen.isWhole()) takeLine(s, line, onEntered)
  })
  return {
    typed(bytes) {
      if (screen.isWhole()) forget(s)
      else takeKeys(s, bytes, screen.cursor())
    },
    shown(bytes) {
      const from =
        s.enters === 0 && bytes.length > BURST_BYTES ? Math.max(0, bytes.lastIndexOf(LINE_FEED), bytes.length - LINE_BYTES_MAX) : 0
      screen.feed(bytes.subarray(from))
    },
    resize: screen.resize,
  }
}

function forget(s: State): void {
  s.enters = 0
  s.promptEnd = undefined
  s.isTyped = false
  s.plain = ''
}

function takeKeys(s: State, bytes: Uint8Array, cursor: number): void {
  if (bytes.includes(INTERRUPT)) return forget(s)
  if (s.enters === 0) s.promptEnd ??= cursor
  s.isTyped ||= bytes.some((byte) => byte > 32 && byte !== 127)
  s.plain = s.plain === undefined || s.enters > 0 ? undefined : plainWith(s.plain, bytes)
  s.enters += bytes.reduce((sum, byte) => sum + Number(byte === ENTER), 0)
}

/** Keys that edit, complete or recall make another line than the one that was typed. */
function plainWith(before: string, bytes: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(bytes)
  return /^[^\p{Cc}]*\r?$/u.test(text) && before.length < TEXT_CHARS_MAX ? before + text.replace('\r', '') : undefined
}

function takeLine(s: State, line: string, onEntered: (line: EnteredLine) => void): void {
  const { promptEnd, isTyped, plain } = s
  // Typed ahead, of another line or of the prompt: it counts when it is shown behind the prompt, which may come later.
  const isAhead = !promptEnd && s.prompt !== '' && line.startsWith(s.prompt)
  if (promptEnd === undefined && !isAhead) return
  const chars = Array.from(line)
  const at = isAhead ? Array.from(s.prompt).length : (promptEnd ?? 0)
  s.enters -= 1
  s.promptEnd = undefined
  s.isTyped = s.enters > 0
  s.plain = s.enters > 0 ? undefined : ''
  const text = chars.slice(at).join('').trim()
  // Without an echo, Enter too, the next words of the program stand where the line would.
  const isEcho = plain === undefined || text.startsWith(plain.trim().slice(0, text.length))
  // What asks for words that it does not show is no prompt for lines.
  if (at > 0 && isEcho && text !== '') s.prompt = chars.slice(0, at).join('')
  onEntered({ text: isEcho ? text.slice(0, TEXT_CHARS_MAX) : '', isTyped })
}
