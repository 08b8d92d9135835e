import {
  type Buffer,
  cellsOf,
  clearAll,
  clearRows,
  createBuffer,
  eraseAt,
  type Place,
  type Region,
  resizeBuffer,
  rowAt,
  SCROLLBACK_ROWS,
  scrollDown,
  scrollUp,
  trimScrollback,
} from './screen-buffer.ts'
import { codeAt, deleteIn, isTail, type Pen, PLAIN, printAt, shiftRight } from './screen-row.ts'
import { widthOf } from './screen-width.ts'

/** What DECSC saves. */
export interface Saved extends Place {
  readonly pen: Pen
  readonly isOrigin: boolean
  readonly isWrapping: boolean
}

/**
 * A terminal as asciinema's player has one: it follows avt (github.com/asciinema/avt, Apache-2.0), so that what it shows is what the player shows.
 * Nothing a host sends makes it larger than its size, and `work` says what it cost: a unit is a cell that was cleared.
 */
export interface Screen {
  columns: number
  height: number
  buffer: Buffer
  /** The screen that is not shown. */
  other: Buffer
  isAlternate: boolean
  column: number
  row: number
  isCursorShown: boolean
  pen: Pen
  /** Whether G0 and G1 are line drawing. */
  readonly drawings: [boolean, boolean]
  charset: 0 | 1
  tabs: readonly number[]
  isInserting: boolean
  isOrigin: boolean
  isWrapping: boolean
  isNewLine: boolean
  isCursorKeys: boolean
  top: number
  bottom: number
  saved: Saved
  otherSaved: Saved
  work: number
}

/** What is restored when nothing was saved; it stays at home, whatever becomes of the window. */
export const NOTHING_SAVED: Saved = { column: 0, row: 0, pen: PLAIN, isOrigin: false, isWrapping: true }
const TAB = 8
const PRINT_WORK = 8
const DRAWING = '♦▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£⋅'
const DRAWING_FIRST = 0x60
const SPACE = 0x20

export const tabsOf = (columns: number): number[] => Array.from({ length: Math.floor((columns - 1) / TAB) }, (_, i) => (i + 1) * TAB)

const fresh = (columns: number, height: number) => ({
  columns,
  height,
  buffer: createBuffer({ columns, height }, SCROLLBACK_ROWS),
  other: createBuffer({ columns, height }, 0),
  isAlternate: false,
  column: 0,
  row: 0,
  isCursorShown: true,
  pen: PLAIN,
  charset: 0 as const,
  tabs: tabsOf(columns),
  isInserting: false,
  isOrigin: false,
  isWrapping: true,
  isNewLine: false,
  isCursorKeys: false,
  top: 0,
  bottom: height - 1,
  saved: NOTHING_SAVED,
  otherSaved: NOTHING_SAVED,
})

export const createScreen = (columns: number, height: number): Screen => ({ ...fresh(columns, height), drawings: [false, false], work: 0 })

/** RIS. */
export function reset(s: Screen): void {
  Object.assign(s, fresh(s.columns, s.height))
  s.drawings.fill(false)
  s.work += s.columns * s.height
}

/** DECSTR. */
export function softReset(s: Screen): void {
  s.drawings.fill(false)
  const { height } = s
  const saved = NOTHING_SAVED
  Object.assign(s, {
    isCursorShown: true,
    top: 0,
    bottom: height - 1,
    isInserting: false,
    isOrigin: false,
    isWrapping: true,
    pen: PLAIN,
    charset: 0,
    saved,
  })
}

/** What is above the screen is cut to what comes back, as the player does between two events. */
export function settle(s: Screen): void {
  trimScrollback(s.buffer)
  trimScrollback(s.other)
}

const atRow = (s: Screen) => rowAt(s.buffer, s.row)
const region = (s: Screen, top = s.top): Region => ({ top, end: top <= s.bottom ? s.bottom + 1 : s.height })
const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))

/** Prints one character. */
export function print(s: Screen, char: number): void {
  const code = s.drawings[s.charset] ? DRAWING.charCodeAt(char - DRAWING_FIRST) || char : char
  const cell = { code, fg: s.pen.fg, bg: s.pen.bg }
  s.work += PRINT_WORK
  let width = 0
  if (s.column < s.columns) {
    if (s.isInserting) shiftRow(s, widthOf(code))
    width = printAt(atRow(s), s.column, cell)
  }
  if (width > 0) {
    s.column += width
    if (s.column === s.columns && !s.isWrapping) s.column -= 1
  } else if (s.isWrapping) {
    if (s.row === s.bottom || s.row < s.height - 1) atRow(s).isWrapped = true
    if (s.row === s.bottom) scrollRegion(s, 1)
    else if (s.row < s.height - 1) s.row += 1
    s.column = 0
    if (s.isInserting) shiftRow(s, widthOf(code))
    s.column = printAt(atRow(s), 0, cell)
  } else {
    const last = s.column - 1
    if (last >= 0 && printAt(atRow(s), last, cell) === 0 && last > 0) printAt(atRow(s), last - 1, cell)
    s.column = s.columns - 1
  }
}

function shiftRow(s: Screen, count: number): void {
  s.work += s.columns
  shiftRight(atRow(s), { column: s.column, count: Math.min(count, s.columns - s.column) }, s.pen)
}

/** Up, or down when negative. */
export function scrollRegion(s: Screen, count: number, top = s.top): void {
  const at = { ...region(s, top), count: Math.abs(count) }
  s.work += Math.min(at.count, at.end - at.top) * s.columns + at.end - at.top
  if (count > 0) scrollUp(s.buffer, at, s.pen)
  else scrollDown(s.buffer, at, s.pen)
}

function toRow(s: Screen, row: number): void {
  s.column = Math.min(s.column, s.columns - 1)
  s.row = row
}

/** Moves the cursor to a column. */
export function toColumn(s: Screen, column: number): void {
  s.column = clamp(column, 0, s.columns - 1)
}

/** A row of the screen, or of the region where that is the origin. */
export function toOriginRow(s: Screen, row: number): void {
  const least = s.isOrigin ? s.top : 0
  toRow(s, clamp(least + row, least, s.isOrigin ? s.bottom : s.height - 1))
}

/** Moves the cursor to the first place that margins allow. */
export function home(s: Screen): void {
  s.column = 0
  toRow(s, s.isOrigin ? s.top : 0)
}

/** Moves the cursor up, to the margin at most. */
export function up(s: Screen, count: number): void {
  toRow(s, Math.max(s.row < s.top ? 0 : s.top, s.row - count))
}

/** Moves the cursor down, to the margin at most. */
export function down(s: Screen, count: number): void {
  toRow(s, Math.min(s.row > s.bottom ? s.height - 1 : s.bottom, s.row + count))
}

/** A character back; from behind the edge it is two, since the cursor stands on the last. */
export function left(s: Screen, count: number): void {
  toColumn(s, s.column - count - (s.column === s.columns ? 1 : 0))
}

/** Moves the cursor down a line; at the margin the lines move up. */
export function lineFeed(s: Screen): void {
  if (s.row === s.bottom) scrollRegion(s, 1)
  else if (s.row < s.height - 1) toRow(s, s.row + 1)
  if (s.isNewLine) s.column = 0
}

/** Moves the cursor up a line; at the margin the lines move down. */
export function reverseIndex(s: Screen): void {
  if (s.row === s.top) scrollRegion(s, -1)
  else if (s.row > 0) toOriginRow(s, s.row - 1)
}

/** Moves the cursor over tab stops. */
export function tab(s: Screen, count: number): void {
  s.work += s.tabs.length
  toColumn(s, s.tabs.filter((at) => at > s.column)[count - 1] ?? s.columns - 1)
}

/** Moves the cursor back over tab stops. */
export function tabBack(s: Screen, count: number): void {
  s.work += s.tabs.length
  toColumn(s, s.tabs.filter((at) => at < s.column).at(-count) ?? 0)
}

/** Makes the column a tab stop. */
export function setTab(s: Screen): void {
  const { column } = s
  s.work += s.tabs.length
  if (column > 0 && column < s.columns && !s.tabs.includes(column)) s.tabs = [...s.tabs, column].sort((a, b) => a - b)
}

/** Makes the column no tab stop. */
export function clearTab(s: Screen): void {
  s.work += s.tabs.length
  s.tabs = s.tabs.filter((at) => at !== s.column)
}

/** Moves what stands from the cursor on to the right. */
export function insertSpaces(s: Screen, wanted: number): void {
  s.column = Math.min(s.column, s.columns - 1)
  const count = Math.min(wanted, s.columns - s.column)
  shiftRow(s, count)
  for (let at = 0; at < count; at++) printAt(atRow(s), s.column + at, { code: SPACE, ...s.pen })
}

/** Takes characters out from the cursor on. */
export function deleteChars(s: Screen, count: number): void {
  s.column = Math.min(s.column, s.columns - 1)
  s.work += s.columns
  deleteIn(atRow(s), { column: s.column, count: Math.min(count, s.columns - s.column) }, s.pen)
  atRow(s).isWrapped = false
}

/** Blanks characters from the cursor on. */
export function eraseChars(s: Screen, count: number): void {
  const to = Math.min(s.columns, s.column + count)
  s.work += to - s.column
  eraseAt(s.buffer, { row: s.row, from: s.column, to }, s.pen)
  if (to === s.columns) atRow(s).isWrapped = false
}

/** EL: 0 to the right, 1 to the left, 2 all of the line. */
export function eraseLine(s: Screen, scope: number): void {
  if (scope > 2) return
  s.work += s.columns
  const to = scope === 1 ? Math.min(s.column + 1, s.columns) : s.columns
  eraseAt(s.buffer, { row: s.row, from: scope === 0 ? s.column : 0, to }, s.pen)
  if (scope !== 1) atRow(s).isWrapped = false
}

/** ED: 0 below, 1 above, 2 all of the screen. */
export function eraseScreen(s: Screen, scope: number): void {
  if (scope > 2) return
  s.work += s.columns * s.height
  if (scope === 2) return clearAll(s.buffer, s.pen)
  if (scope === 0) eraseLine(s, 0)
  if (scope === 1) eraseLine(s, 1)
  const rows = scope === 0 ? { top: s.row + 1, end: s.height } : { top: 0, end: s.row }
  clearRows(s.buffer, rows, s.pen)
}

/** REP: the character before the cursor once more, so many times. */
export function repeat(s: Screen, count: number): void {
  if (s.column === 0) return
  const row = atRow(s)
  let column = s.column - 1
  while (column > 0 && isTail(row, column)) column -= 1
  const code = codeAt(row, column)
  for (let at = 0; at < count; at++) print(s, code)
}

/** DECALN. */
export function fillWithE(s: Screen): void {
  s.work += s.columns * s.height
  for (let row = 0; row < s.height; row++)
    for (let column = 0; column < s.columns; column++) printAt(rowAt(s.buffer, row), column, { code: 0x45, ...PLAIN })
}

/** Says between which lines the text moves. */
export function setMargins(s: Screen, top: number, bottom: number): void {
  if (top < bottom && bottom < s.height) {
    s.top = top
    s.bottom = bottom
  }
  home(s)
}

/** Remembers where and how is written. */
export function saveCursor(s: Screen): void {
  const { column, row, pen, isOrigin, isWrapping } = s
  s.saved = { column, row, pen, isOrigin, isWrapping }
}

/** Writes on where and how was remembered. */
export function restoreCursor(s: Screen): void {
  Object.assign(s, s.saved)
}

/** Shows the alternate screen or the primary one. */
export function showScreen(s: Screen, isAlternate: boolean): void {
  if (s.isAlternate === isAlternate) return
  const { buffer, other, saved, otherSaved, columns, height } = s
  s.isAlternate = isAlternate
  s.saved = otherSaved
  s.otherSaved = saved
  s.buffer = isAlternate ? createBuffer({ columns, height }, 0, s.pen) : other
  s.other = buffer
  s.work += columns * height
}

/** The window has another size, and so have both screens. */
export function resize(s: Screen, columns: number, height: number): void {
  if (columns === s.columns && height === s.height) return
  if (columns < s.columns) s.tabs = s.tabs.filter((at) => at < columns)
  if (columns > s.columns) s.tabs = [...s.tabs, ...tabsOf(columns).filter((at) => at > s.columns)]
  s.work += cellsOf(s.buffer) + cellsOf(s.other) + columns * height
  const size = { columns, height }
  const [cursor, saved] = resizeBuffer(s.buffer, size, [s, s.saved])
  const [otherSaved] = resizeBuffer(s.other, size, [s.otherSaved])
  if (s.saved !== NOTHING_SAVED) s.saved = { ...s.saved, ...saved }
  if (s.otherSaved !== NOTHING_SAVED) s.otherSaved = { ...s.otherSaved, ...otherSaved }
  Object.assign(s, cursor, size, { top: 0, bottom: height - 1 })
  settle(s)
}
