import { NOTHING_SAVED, type Saved, type Screen, tabsOf } from './screen.ts'
import { type Buffer, type Place, rowAt } from './screen-buffer.ts'
import { type Parser, unfinished } from './screen-parser.ts'
import {
  ATTRIBUTES,
  BOLD,
  COLOUR,
  codeAt,
  columnsOf,
  FAINT,
  isTail,
  PALETTE,
  type Pen,
  PLAIN,
  penAt,
  type Row,
  shownColumns,
} from './screen-row.ts'

const csi = (text: string): string => `\x1b[${text}`
const cursorAt = (row: number, column: number): string => csi(`${row + 1};${column + 1}H`)
const isSame = (a: Pen, b: Pen): boolean => a.fg === b.fg && a.bg === b.bg
const ATTRIBUTE_CODES = Object.entries({ italic: 3, underline: 4, blink: 5, inverse: 7, strike: 9 } satisfies Record<
  keyof typeof ATTRIBUTES,
  number
>)

function colourOf(colour: number, base: 38 | 48): string {
  const value = colour & 0xffffff
  if (colour === 0) return ''
  if ((colour & PALETTE) !== 0) return `;${base};5;${value}`
  return `;${base};2;${value >> 16};${(value >> 8) & 0xff};${value & 0xff}`
}

function sgr({ fg, bg }: Pen): string {
  const attributes = ATTRIBUTE_CODES.filter(([name]) => (fg & ATTRIBUTES[name as keyof typeof ATTRIBUTES]) !== 0).map(
    ([, code]) => `;${code}`,
  )
  const weight = (bg & BOLD) !== 0 ? ';1' : (bg & FAINT) !== 0 ? ';2' : ''
  return csi(`0${colourOf(fg & COLOUR, 38)}${colourOf(bg & COLOUR, 48)}${weight}${attributes.join('')}m`)
}

/** Text that brings a new terminal of this size to where the screen is; nothing when it would be longer than `charsMax`. */
export function paint(s: Screen, p: Parser, charsMax: number): string | undefined {
  const [primary, alternate] = s.isAlternate ? [s.other, s.buffer] : [s.buffer, s.other]
  const [primarySaved, alternateSaved] = s.isAlternate ? [s.otherSaved, s.saved] : [s.saved, s.otherSaved]
  const isVisited = s.isAlternate || alternateSaved !== NOTHING_SAVED
  const parts = [paintRows(primary, charsMax), paintTabs(s), paintSaved(primarySaved, primary), sgr(PLAIN)]
  if (isVisited) parts.push(csi('?1047h'))
  if (s.isAlternate) parts.push(cursorAt(0, 0), paintRows(alternate, charsMax))
  if (isVisited) parts.push(paintSaved(alternateSaved, alternate))
  if (isVisited && !s.isAlternate) parts.push(csi('?1047l'))
  parts.push(paintCursor(s), sgr(s.pen), paintModes(s), unfinished(p))
  const whole = parts.join('')
  return whole.length > charsMax ? undefined : whole
}

/** All rows, from above the screen down; with a plain pen, as it ends. */
function paintRows({ rows }: Buffer, charsMax: number): string {
  const out: string[] = []
  let chars = 0
  let pen = PLAIN
  for (const [at, row] of rows.entries()) {
    const painted = paintRow(row, { pen, isWrapped: rows[at - 1]?.isWrapped ?? false })
    pen = painted.pen
    out.push(painted.text, at === rows.length - 1 || row.isWrapped ? '' : '\r\n')
    chars += painted.text.length
    if (chars > charsMax) break
  }
  return `${out.join('')}${sgr(PLAIN)}`
}

/** A row that is not wrapped ends with its last cell that shows something; a wrapped one must push the cursor over the edge, and the next one take it. */
function paintRow(row: Row, before: { readonly pen: Pen; readonly isWrapped: boolean }): { readonly text: string; readonly pen: Pen } {
  const columns = row.isWrapped ? columnsOf(row) : Math.max(Number(before.isWrapped), shownColumns(row))
  let { pen } = before
  let text = ''
  for (let column = 0; column < columns; column++) {
    if (isTail(row, column)) continue
    const next = penAt(row, column)
    if (!isSame(next, pen)) text += sgr(next)
    pen = next
    text += String.fromCodePoint(codeAt(row, column))
  }
  if (row.isWrapped) return { text, pen }
  // A row that was scrolled in has the pen of then.
  const rest = columns < columnsOf(row) ? csi('K') : ''
  return { text: text + (isSame(pen, PLAIN) ? '' : sgr(PLAIN)) + rest, pen: PLAIN }
}

function paintTabs({ tabs, columns }: Screen): string {
  const usual = tabsOf(columns)
  if (tabs.length === usual.length && tabs.every((at, i) => at === usual[i])) return ''
  return csi('5W') + tabs.map((at) => csi(`${at + 1}G`) + csi('W')).join('')
}

function paintSaved(saved: Saved, buffer: Buffer): string {
  if (saved === NOTHING_SAVED) return ''
  const { row, column, pen, isOrigin, isWrapping } = saved
  const [origin, noOrigin] = isOrigin ? [csi('?6h'), csi('?6l')] : ['', '']
  const [noWrap, wrap] = isWrapping ? ['', ''] : [csi('?7l'), csi('?7h')]
  return `${origin}${cursorAt(row, column)}${paintEdge(saved, buffer)}${sgr(pen)}${noWrap}\x1b7${wrap}${noOrigin}`
}

function paintCursor(s: Screen): string {
  const origin = s.isOrigin ? csi('?6h') : ''
  const margins = s.top > 0 || s.bottom < s.height - 1 ? csi(`${s.top + 1};${s.bottom + 1}r`) : ''
  return origin + margins + paintPlace(s) + paintEdge(s, s.buffer)
}

function paintPlace(s: Screen): string {
  const { row, column, top, bottom, isOrigin, saved } = s
  if (!isOrigin) return cursorAt(row, column)
  if (row >= top && row <= bottom) return cursorAt(row - top, column)
  // Outside the region the origin does not reach: from what was saved it goes there step by step.
  const steps = (by: number, [less, more]: readonly [string, string]) => (by === 0 ? '' : csi(`${Math.abs(by)}${by < 0 ? less : more}`))
  return csi('u') + steps(column - saved.column, ['D', 'C']) + steps(row - saved.row, ['A', 'B'])
}

/** Behind the last column it stands only after a character was printed there. */
function paintEdge(at: Place, buffer: Buffer): string {
  const last = buffer.columns - 1
  if (at.column <= last) return ''
  const row = rowAt(buffer, at.row)
  const column = isTail(row, last) ? last - 1 : last
  return (column < last ? csi('D') : '') + sgr(penAt(row, column)) + String.fromCodePoint(codeAt(row, column))
}

/** After all printing, which they change. */
function paintModes(s: Screen): string {
  return [
    s.isCursorShown ? '' : csi('?25l'),
    s.drawings[0] ? '\x1b(0' : '',
    s.drawings[1] ? '\x1b)0' : '',
    s.charset === 1 ? '\x0e' : '',
    s.isInserting ? csi('4h') : '',
    s.isWrapping ? '' : csi('?7l'),
    s.isNewLine ? csi('20h') : '',
    s.isCursorKeys ? csi('?1h') : '',
  ].join('')
}
