import { widthOf } from './screen-width.ts'

/** A colour is 0 for the default, `PALETTE | index` or `RGB | 24 bits`; bits above it are attributes: of `fg` {@link ATTRIBUTES}, of `bg` how bold it is. */
export interface Pen {
  readonly fg: number
  readonly bg: number
}

/** What one cell shows: a code point, and with which pen. */
export interface Cell extends Pen {
  readonly code: number
}

/** A line of cells. Wrapped: the next one goes on with it. `filledAt` is a cell that was put in where half a wide character did not fit. */
export interface Row {
  cells: Uint32Array
  isWrapped: boolean
  filledAt?: number
}

export const PALETTE = 1 << 24
export const RGB = 2 << 24
export const COLOUR = 0x3ffffff
export const ATTRIBUTES = { italic: 1 << 26, underline: 1 << 27, blink: 1 << 28, inverse: 1 << 29, strike: 1 << 30 } as const
export const BOLD = 1 << 26
export const FAINT = 2 << 26
export const PLAIN: Pen = { fg: 0, bg: 0 }

const SPACE = 0x20
/** The two halves of a wide character stand in the code. */
const HEAD = 1 << 21
const TAIL = 2 << 21
const CODE = 0x1fffff
const WORDS = 3

export const columnsOf = ({ cells }: Row): number => cells.length / WORDS
export const codeAt = ({ cells }: Row, column: number): number => (cells[column * WORDS] ?? SPACE) & CODE
const isHead = ({ cells }: Row, column: number): boolean => ((cells[column * WORDS] ?? 0) & HEAD) !== 0
export const isTail = ({ cells }: Row, column: number): boolean => ((cells[column * WORDS] ?? 0) & TAIL) !== 0
export const penAt = ({ cells }: Row, column: number): Pen => ({ fg: cells[column * WORDS + 1] ?? 0, bg: cells[column * WORDS + 2] ?? 0 })

function put({ cells }: Row, column: number, { code, fg, bg }: Cell): void {
  cells[column * WORDS] = code
  cells[column * WORDS + 1] = fg
  cells[column * WORDS + 2] = bg
}

const space = ({ fg, bg }: Pen): Cell => ({ code: SPACE, fg, bg })

/** The last blank row: one after the other is alike, and a copy is ten times as fast. */
let blank: Row = { cells: new Uint32Array(), isWrapped: false }

function blankOf(columns: number, pen: Pen): Row {
  const { fg, bg } = penAt(blank, 0)
  if (columnsOf(blank) !== columns || fg !== pen.fg || bg !== pen.bg) {
    blank = { cells: new Uint32Array(columns * WORDS), isWrapped: false }
    fill(blank, [0, columns], pen)
  }
  return blank
}

export const blankRow = (columns: number, pen: Pen): Row => ({ cells: blankOf(columns, pen).cells.slice(), isWrapped: false })

/** Makes a row blank. */
export function clearRow(row: Row, pen: Pen): void {
  row.cells.set(blankOf(columnsOf(row), pen).cells)
  row.isWrapped = false
}

function fill(row: Row, [from, to]: readonly [number, number], pen: Pen): void {
  const cell = space(pen)
  for (let at = from; at < to; at++) put(row, at, cell)
}

/** Prints a character and answers its columns; 0 when it does not fit before the edge. What it cuts in half becomes blank. */
export function printAt(row: Row, column: number, cell: Cell): 0 | 1 | 2 {
  const width = widthOf(cell.code)
  const right = columnsOf(row) - 1 - column
  if (width > right + 1) return 0
  const wasHead = isHead(row, column)
  if (isTail(row, column)) put(row, column - 1, space(cell))
  if (width === 1) {
    if (wasHead) put(row, column + 1, space(cell))
    put(row, column, cell)
    return 1
  }
  if (!wasHead && right > 1 && isHead(row, column + 1)) put(row, column + 2, space(cell))
  put(row, column, { ...cell, code: cell.code | HEAD })
  put(row, column + 1, { ...cell, code: SPACE | TAIL })
  return 2
}

/** Erases from one column up to another. */
export function eraseIn(row: Row, [from, to]: readonly [number, number], pen: Pen): void {
  if (from >= columnsOf(row)) return
  if (isTail(row, from)) put(row, from - 1, space(pen))
  fill(row, [from, to], pen)
  if (to < columnsOf(row) && isTail(row, to)) put(row, to, space(pen))
}

/** Moves what is at a column and behind it to the right; what falls over the edge stands in the gap until something is printed there. */
export function shiftRight(row: Row, { column, count }: { readonly column: number; readonly count: number }, pen: Pen): void {
  const { cells } = row
  if (isTail(row, column)) {
    put(row, column, space(pen))
    put(row, column - 1, space(pen))
  }
  const fallen = cells.slice(cells.length - count * WORDS)
  cells.copyWithin((column + count) * WORDS, column * WORDS, cells.length - count * WORDS)
  cells.set(fallen, column * WORDS)
  if (!isTail(row, column)) return
  put(row, column, space(pen))
  put(row, columnsOf(row) - 1, space(pen))
}

/** Takes characters out of a row; what is behind them comes closer. */
export function deleteIn(row: Row, { column, count }: { readonly column: number; readonly count: number }, pen: Pen): void {
  const { cells } = row
  if (isTail(row, column)) put(row, column - 1, space(pen))
  cells.copyWithin(column * WORDS, (column + count) * WORDS)
  if (isTail(row, column)) put(row, column, space(pen))
  fill(row, [columnsOf(row) - count, columnsOf(row)], pen)
}

const isPlainSpace = ({ cells }: Row, column: number): boolean =>
  cells[column * WORDS] === SPACE && cells[column * WORDS + 1] === 0 && cells[column * WORDS + 2] === 0

/** Columns up to the last that shows something. */
export function shownColumns(row: Row): number {
  let columns = columnsOf(row)
  while (columns > 0 && isPlainSpace(row, columns - 1)) columns -= 1
  return columns
}

const cut = (row: Row, from: number, to: number): Uint32Array => row.cells.slice(from * WORDS, to * WORDS)
const trim = (row: Row): Row => ({ ...row, cells: cut(row, 0, shownColumns(row)) })

function append(row: Row, more: Uint32Array): void {
  const cells = new Uint32Array(row.cells.length + more.length)
  cells.set(row.cells)
  cells.set(more, row.cells.length)
  row.cells = cells
}

const pad = (row: Row, columns: number, pen: Pen = PLAIN): void => append(row, blankRow(columns - columnsOf(row), pen).cells)

const copyOf = ({ cells, isWrapped }: Row): Row => ({ cells, isWrapped })

/** Rows in another width: what was wrapped is joined, what is too long is wrapped. */
export function reflow(rows: readonly Row[], columns: number): Row[] {
  const out: Row[] = []
  let rest: Row | undefined
  for (let at = 0; rest !== undefined || at < rows.length; ) {
    const row: Row = rest ?? copyOf(rows[at++] as Row)
    rest = undefined
    if (columnsOf(row) > columns) rest = narrow(row, columns)
    else if (columnsOf(row) < columns) {
      const next = rows[at++]
      if (next === undefined) {
        pad(row, columns)
        row.isWrapped = false
      } else {
        const widened = widen(row, next, columns)
        rest = widened.rest
        if (!widened.isWhole) continue
      }
    }
    out.push(row)
  }
  return out
}

/** A row in another width by itself: what is too long is gone. */
export function cutRow(row: Row, columns: number): void {
  if (columnsOf(row) > columns && isTail(row, columns)) put(row, columns - 1, space(penAt(row, columns - 1)))
  if (columnsOf(row) > columns) row.cells = cut(row, 0, columns)
  else pad(row, columns)
}

/** Cuts a row and answers what did not fit. */
function narrow(row: Row, columns: number): Row | undefined {
  if (!row.isWrapped) row.cells = cut(row, 0, Math.max(columns, shownColumns(row)))
  if (columnsOf(row) <= columns) return undefined
  const isHalf = isTail(row, columns)
  // In a single column no half of a wide character can stand.
  const end = isHalf && columns > 1 ? columns - 1 : columns
  const begin = isHalf && columns === 1 ? columns + 1 : end
  let rest: Row = { cells: cut(row, begin, columnsOf(row)), isWrapped: row.isWrapped }
  row.cells = cut(row, 0, end)
  if (isHalf && columns === 1) fill(row, [0, 1], PLAIN)
  else if (isHalf) putIn(row)
  if (!row.isWrapped) rest = trim(rest)
  if (rest.cells.length === 0) return undefined
  row.isWrapped = true
  return rest
}

function putIn(row: Row): void {
  const column = columnsOf(row)
  pad(row, column + 1, penAt(row, column - 1))
  row.filledAt = column
}

/** Fills a row from the next one. Not whole: it takes the one after that as well. */
function widen(row: Row, following: Row, columns: number): { readonly isWhole: boolean; readonly rest?: Row } {
  if (!row.isWrapped) {
    pad(row, columns)
    return { isWhole: true, rest: copyOf(following) }
  }
  const next = following.isWrapped ? following : trim(following)
  const needed = columns - columnsOf(row)
  if (needed < columnsOf(next)) {
    const isHalf = isTail(next, needed)
    const taken = isHalf ? needed - 1 : needed
    // Not at the edge, but this is where the player has it.
    if (isHalf) putIn(row)
    append(row, cut(next, 0, taken))
    return { isWhole: true, rest: { cells: cut(next, taken, columnsOf(next)), isWrapped: next.isWrapped } }
  }
  append(row, next.cells)
  if (next.isWrapped) return { isWhole: false, rest: row }
  row.isWrapped = false
  pad(row, columns)
  return { isWhole: true }
}
