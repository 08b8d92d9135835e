import { blankRow, clearRow, columnsOf, cutRow, eraseIn, type Pen, PLAIN, type Row, reflow, shownColumns } from './screen-row.ts'

/** A place on the screen; a column may be one behind the last, where the next character wraps. */
export interface Place {
  readonly column: number
  readonly row: number
}

/** Rows on the screen, from `top` up to but without `end`. */
export interface Region {
  readonly top: number
  readonly end: number
}

/** The rows of a screen, and of what was scrolled out above it as many as a larger window brings back. */
export interface Buffer {
  rows: Row[]
  columns: number
  height: number
  readonly scrollbackMax: number
}

/** As many as asciinema's player keeps. */
export const SCROLLBACK_ROWS = 100

export function createBuffer(size: { readonly columns: number; readonly height: number }, scrollbackMax: number, pen: Pen = PLAIN): Buffer {
  return { ...size, scrollbackMax, rows: blankRows(size.height, size.columns, pen) }
}

const blankRows = (count: number, columns: number, pen: Pen): Row[] => Array.from({ length: count }, () => blankRow(columns, pen))
const offsetOf = ({ rows, height }: Buffer): number => rows.length - height

/** A row of the screen. */
export function rowAt(buffer: Buffer, at: number): Row {
  const row = buffer.rows[offsetOf(buffer) + at]
  if (!row) throw new RangeError('no such row')
  return row
}

const unwrap = (buffer: Buffer, at: number): void => {
  rowAt(buffer, at).isWrapped = false
}

/** Makes rows blank. */
export function clearRows(buffer: Buffer, { top, end }: Region, pen: Pen): void {
  for (let at = top; at < end; at++) clearRow(rowAt(buffer, at), pen)
}

/** Erases part of a row. */
export function eraseAt(buffer: Buffer, { row, from, to }: { readonly row: number; readonly from: number; readonly to: number }, pen: Pen) {
  eraseIn(rowAt(buffer, row), [from, to], pen)
}

/** Rows go up; what leaves a region that begins at the top of the screen is kept above it. */
export function scrollUp(buffer: Buffer, region: Region & { readonly count: number }, pen: Pen): void {
  const { top, end } = region
  const count = Math.min(region.count, end - top)
  if (end < buffer.height) unwrap(buffer, end - 1)
  if (top > 0) unwrap(buffer, top - 1)
  const blank = blankRows(count, buffer.columns, pen)
  const offset = offsetOf(buffer)
  if (top > 0) buffer.rows.splice(offset + top, count)
  if (end === buffer.height) buffer.rows.push(...blank)
  else buffer.rows.splice(top > 0 ? offset + end - count : offset + end, 0, ...blank)
  // Now and then, so that a flood of line feeds costs neither memory nor a copy each.
  if (offsetOf(buffer) > buffer.scrollbackMax + SCROLLBACK_ROWS) trimScrollback(buffer)
}

/** Blank rows on the screen; what was shown is kept above it. */
export function clearAll(buffer: Buffer, pen: Pen): void {
  let shown = buffer.height
  while (shown > 0 && shownColumns(rowAt(buffer, shown - 1)) === 0) shown -= 1
  if (shown === 0 || buffer.scrollbackMax === 0) return clearRows(buffer, { top: 0, end: buffer.height }, pen)
  buffer.rows.length -= buffer.height - shown
  buffer.rows.push(...blankRows(buffer.height, buffer.columns, pen))
  if (offsetOf(buffer) > buffer.scrollbackMax + SCROLLBACK_ROWS) trimScrollback(buffer)
}

/** Rows go down; what leaves the region is gone. */
export function scrollDown(buffer: Buffer, region: Region & { readonly count: number }, pen: Pen): void {
  const { top, end } = region
  const count = Math.min(region.count, end - top)
  const offset = offsetOf(buffer)
  buffer.rows.splice(offset + end - count, count)
  buffer.rows.splice(offset + top, 0, ...blankRows(count, buffer.columns, pen))
  if (top > 0) unwrap(buffer, top - 1)
  unwrap(buffer, end - 1)
}

/** Drops what is above the screen and will not come back. */
export function trimScrollback(buffer: Buffer): void {
  const excess = offsetOf(buffer) - buffer.scrollbackMax
  if (excess > 0) buffer.rows.splice(0, excess)
}

/** Another size; answers where places are then. The first is the cursor's, which stays on the screen. */
export function resizeBuffer(buffer: Buffer, size: Size, places: readonly Place[]): Place[] {
  const isNew = size.columns !== buffer.columns
  const isRewrapped = isNew && buffer.scrollbackMax > 0
  const moved = isRewrapped ? rewrap(buffer, size.columns, places) : places.map((at) => inRows(buffer, at))
  if (isNew && !isRewrapped) for (const row of buffer.rows) cutRow(row, size.columns)
  const columnMax = isNew && !isRewrapped ? size.columns - 1 : size.columns
  const cursorRow = moved[0]?.row ?? 0
  const height = Math.max(buffer.height, buffer.rows.length - cursorRow)
  const less = Math.min(height - size.height, buffer.rows.length - 1 - cursorRow)
  if (less > 0) {
    buffer.rows.length -= less
    const last = buffer.rows.at(-1)
    if (last) last.isWrapped = false
  }
  const missing = size.height - buffer.rows.length
  if (missing > 0) buffer.rows.push(...blankRows(missing, size.columns, PLAIN))
  buffer.columns = size.columns
  buffer.height = size.height
  const offset = offsetOf(buffer)
  return moved.map(({ column, row }) => {
    const isAbove = row < offset
    return { column: isAbove ? 0 : Math.min(column, columnMax), row: isAbove ? 0 : Math.min(row - offset, size.height - 1) }
  })
}

/** Columns and rows. */
interface Size {
  readonly columns: number
  readonly height: number
}

/** A place counted from the first of all rows. */
const inRows = (buffer: Buffer, { column, row }: Place): Place => ({ column, row: row + offsetOf(buffer) })

function rewrap(buffer: Buffer, columns: number, places: readonly Place[]): Place[] {
  const logical = places.map((at) => ({ at, line: lineOf(buffer, at) }))
  const { columns: before, height } = buffer
  buffer.rows = reflow(buffer.rows, columns)
  if (buffer.rows.length < height) buffer.rows.push(...blankRows(height - buffer.rows.length, columns, PLAIN))
  return logical.map(({ at, line }) => placeOf(buffer.rows, { ...line, wasBehind: at.column === before }))
}

/** Which line of text, over its wraps, and which character of it. */
function lineOf(buffer: Buffer, at: Place): Place {
  const { column, row } = inRows(buffer, at)
  let line = Math.max(0, row - buffer.rows.length)
  let before = 0
  for (const { isWrapped } of buffer.rows.slice(0, row)) {
    before = isWrapped ? before + buffer.columns : 0
    if (!isWrapped) line += 1
  }
  return { column: column + before, row: line }
}

/** Where a character of a line is after a reflow; who stood behind the last column stands behind the same character again. */
function placeOf(rows: readonly Row[], at: Place & { readonly wasBehind: boolean }): Place {
  let row = 0
  for (let line = 0; line < at.row && row < rows.length - 1; row++) if (!rows[row]?.isWrapped) line += 1
  let column = at.column - Number(at.wasBehind)
  for (let here = rows[row]; here?.isWrapped && column >= charsOf(here); here = rows[row]) {
    column -= charsOf(here)
    row += 1
  }
  const here = rows[row]
  if (here?.filledAt !== undefined && column >= here.filledAt) column += 1
  return { column: here ? edgeOf(here, column + Number(at.wasBehind), at.wasBehind) : 0, row }
}

const charsOf = (row: Row): number => columnsOf(row) - Number(row.filledAt !== undefined)

/** Behind the last column stays who was there, and comes who stands right behind a character that was printed. */
function edgeOf(row: Row, column: number, wasBehind: boolean): number {
  const columns = columnsOf(row)
  if (column < columns) return column
  return column === columns && (wasBehind || shownColumns(row) === columns) ? columns : columns - 1
}

/** All cells that there are. */
export const cellsOf = ({ rows }: Buffer): number => rows.reduce((sum, row) => sum + columnsOf(row), 0)
