import {
  clearTab,
  deleteChars,
  down,
  eraseChars,
  eraseLine,
  eraseScreen,
  fillWithE,
  home,
  insertSpaces,
  left,
  lineFeed,
  print,
  repeat,
  reset,
  restoreCursor,
  reverseIndex,
  type Screen,
  saveCursor,
  scrollRegion,
  setMargins,
  setTab,
  settle,
  showScreen,
  softReset,
  tab,
  tabBack,
  toColumn,
  toOriginRow,
  up,
} from './screen.ts'
import { paramsOf, penAfter } from './screen-pen.ts'

type Mode = 'ground' | 'escape' | 'escape-more' | 'csi' | 'csi-params' | 'csi-more' | 'csi-ignored' | 'string' | 'osc'

/** Where in a control sequence the text stands (vt100.net/emu/dec_ansi_parser). */
export interface Parser {
  mode: Mode
  /** The last character between the beginning of a sequence and its end that is no parameter. */
  mark: string
  params: string
}

/** Longer parameters than any program sends are not kept. */
const PARAMS_CHARS_MAX = 1024
const ESC = 0x1b
const SEQUENCE_WORK = 128

export const createParser = (): Parser => ({ mode: 'ground', mark: '', params: '' })

/** Shows text. */
export function feed(s: Screen, p: Parser, text: string): void {
  for (let at = 0; at < text.length; ) {
    const code = text.codePointAt(at) ?? 0
    at += code > 0xffff ? 2 : 1
    if (p.mode === 'ground' && ((code >= 0x20 && code < 0x80) || code >= 0xa0)) print(s, code)
    else take(s, p, code)
  }
  settle(s)
}

/** The beginning of a sequence that is not at its end. */
export function unfinished({ mode, mark, params }: Parser): string {
  const begun: Readonly<Record<Mode, string>> = {
    ground: '',
    escape: '\x1b',
    'escape-more': `\x1b${mark}`,
    csi: '\x1b[',
    'csi-params': `\x1b[${mark}${params}`,
    'csi-more': `\x1b[${mark}`,
    'csi-ignored': '\x1b[:',
    string: '\x1bX',
    osc: '\x1b]',
  }
  return begun[mode]
}

function begin(p: Parser, mode: Mode): void {
  p.mode = mode
  p.mark = ''
  p.params = ''
}

function take(s: Screen, p: Parser, code: number): void {
  if (code === ESC) return begin(p, 'escape')
  if (code >= 0x80 && code < 0xa0) return takeC1(s, p, code)
  if (code === 0x18 || code === 0x1a) return begin(p, 'ground')
  if (p.mode === 'osc' && code === 0x07) return begin(p, 'ground')
  if (p.mode === 'osc' || p.mode === 'string') return
  if (code < 0x20) return execute(s, code)
  if (code === 0x7f) return
  if (p.mode === 'escape' || p.mode === 'escape-more') return takeEscape(s, p, code)
  takeControl(s, p, code)
}

const isBetween = (code: number): boolean => code >= 0x20 && code < 0x30

function takeC1(s: Screen, p: Parser, code: number): void {
  if (code === 0x9b) begin(p, 'csi')
  else if (code === 0x9d) begin(p, 'osc')
  else if (code === 0x90 || code === 0x98 || code === 0x9e || code === 0x9f) begin(p, 'string')
  else {
    begin(p, 'ground')
    execute(s, code)
  }
}

function execute(s: Screen, code: number): void {
  if (code === 0x08) left(s, 1)
  else if (code === 0x09) tab(s, 1)
  else if (code === 0x0a || code === 0x0b || code === 0x0c || code === 0x84) lineFeed(s)
  else if (code === 0x0d) s.column = 0
  else if (code === 0x0e || code === 0x0f) s.charset = code === 0x0e ? 1 : 0
  else if (code === 0x85) nextLine(s)
  else if (code === 0x88) setTab(s)
  else if (code === 0x8d) reverseIndex(s)
}

function nextLine(s: Screen): void {
  lineFeed(s)
  s.column = 0
}

function takeEscape(s: Screen, p: Parser, code: number): void {
  const char = String.fromCodePoint(code)
  if (isBetween(code)) {
    p.mode = 'escape-more'
    p.mark = char
  } else if (p.mode === 'escape' && char === '[') begin(p, 'csi')
  else if (p.mode === 'escape' && char === ']') begin(p, 'osc')
  else if (p.mode === 'escape' && 'PX^_'.includes(char)) begin(p, 'string')
  else {
    const { mark } = p
    begin(p, 'ground')
    if (mark === '' && code >= 0x40 && code < 0x60) execute(s, code + 0x40)
    else ESCAPES[mark + char]?.(s)
    if (mark === '(' || mark === ')') s.drawings[mark === '(' ? 0 : 1] = char === '0'
  }
}

const ESCAPES: Readonly<Record<string, (s: Screen) => void>> = { '7': saveCursor, '8': restoreCursor, c: reset, '#8': fillWithE }

function takeControl(s: Screen, p: Parser, code: number): void {
  const char = String.fromCodePoint(code)
  if (code >= 0x40) {
    const { mode, mark, params } = p
    begin(p, 'ground')
    if (mode !== 'csi-ignored') dispatch(s, mark + char, params)
  } else if (p.mode === 'csi-ignored') return
  else if (isBetween(code)) {
    p.mode = 'csi-more'
    p.mark = char
  } else if (p.mode === 'csi-more' || (p.mode === 'csi-params' ? code >= 0x3c : char === ':')) p.mode = 'csi-ignored'
  else {
    p.mode = 'csi-params'
    if (code >= 0x3c) p.mark = char
    else if (p.params.length < PARAMS_CHARS_MAX) p.params += char
  }
}

function dispatch(s: Screen, name: string, text: string): void {
  s.work += SEQUENCE_WORK
  const params = paramsOf(text)
  const first = params[0]?.[0] ?? 0
  if (name === 'm') s.pen = penAfter(s.pen, params)
  else if (name === 'h' || name === 'l') for (const [mode] of params) setAnsiMode(s, mode ?? 0, name === 'h')
  else if (name === '?h' || name === '?l') for (const [mode] of params) setMode(s, mode ?? 0, name === '?h')
  else if (name === 'H' || name === 'f') moveTo(s, first, params[1]?.[0] ?? 0)
  else if (name === 'r') setMargins(s, Math.max(1, first) - 1, (params[1]?.[0] || s.height) - 1)
  else if (name in SCOPED) SCOPED[name]?.(s, first)
  else COUNTED[name]?.(s, Math.max(1, first))
}

function moveTo(s: Screen, row: number, column: number): void {
  toColumn(s, Math.max(1, column) - 1)
  toOriginRow(s, Math.max(1, row) - 1)
}

type Control = (s: Screen, n: number) => void

/** Sequences whose number says what, and is 0 when it is left out. */
const SCOPED: Readonly<Record<string, Control>> = {
  J: eraseScreen,
  K: eraseLine,
  W: (s, n) => (n === 0 ? setTab(s) : clearTabs(s, n === 2 ? 0 : n === 5 ? 3 : -1)),
  g: clearTabs,
  s: saveCursor,
  u: restoreCursor,
  '!p': softReset,
}

function clearTabs(s: Screen, scope: number): void {
  if (scope === 0) clearTab(s)
  else if (scope === 3) s.tabs = []
}

const right: Control = (s, n) => toColumn(s, s.column + n)
const column: Control = (s, n) => toColumn(s, n - 1)

/** Sequences whose number says how often or where, and is 1 when it is left out. */
const COUNTED: Readonly<Record<string, Control>> = {
  '@': insertSpaces,
  A: up,
  B: down,
  C: right,
  D: left,
  E(s, n) {
    down(s, n)
    s.column = 0
  },
  F(s, n) {
    up(s, n)
    s.column = 0
  },
  G: column,
  I: tab,
  L: (s, n) => scrollRegion(s, -n, s.row),
  M: (s, n) => scrollRegion(s, n, s.row),
  P: deleteChars,
  S: (s, n) => scrollRegion(s, n),
  T: (s, n) => scrollRegion(s, -n),
  X: eraseChars,
  Z: tabBack,
  '`': column,
  a: right,
  b: repeat,
  d: (s, n) => toOriginRow(s, n - 1),
  e: down,
}

function setAnsiMode(s: Screen, mode: number, isSet: boolean): void {
  if (mode === 4) s.isInserting = isSet
  else if (mode === 20) s.isNewLine = isSet
}

function setMode(s: Screen, mode: number, isSet: boolean): void {
  if (mode === 1) s.isCursorKeys = isSet
  else if (mode === 6) {
    s.isOrigin = isSet
    home(s)
  } else if (mode === 7) s.isWrapping = isSet
  else if (mode === 25) s.isCursorShown = isSet
  else if (mode === 47 || mode === 1047) showScreen(s, isSet)
  else if (mode === 1048) (isSet ? saveCursor : restoreCursor)(s)
  else if (mode === 1049) {
    if (isSet) saveCursor(s)
    showScreen(s, isSet)
    if (!isSet) restoreCursor(s)
  }
}
