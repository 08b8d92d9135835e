/** A terminal as far as its present line goes: what stands there after all overwriting, and where the cursor is. */
export interface LineScreen {
  readonly feed: (bytes: Uint8Array) => void
  /** The present line, over all rows it is wrapped to. */
  readonly line: () => string
  /** How many characters stand before the cursor. */
  readonly cursor: () => number
  /** Whether a program has taken the whole screen, as editors and pagers do. */
  readonly isWhole: () => boolean
  readonly resize: (columns: number) => void
}

/** Beyond this the rest of a line is not looked at: a binary file on a terminal has no line ends. */
const LINE_CHARS_MAX = 4096
const PARAMS_CHARS_MAX = 64
const TAB = 8

interface State {
  columns: number
  readonly onLine: (line: string) => void
  decoder: TextDecoder
  rows: string[][]
  row: number
  column: number
  isWhole: boolean
  take: (char: string, s: State) => void
  params: string
}

/** Begins with an empty line. `onLine` gets every line when the next begins, without control sequences. */
export function createLineScreen(columns: number, onLine: (line: string) => void): LineScreen {
  const s: State = {
    columns,
    onLine,
    decoder: new TextDecoder(),
    rows: [[]],
    row: 0,
    column: 0,
    isWhole: false,
    take: ground,
    params: '',
  }
  return {
    feed: (bytes) => feed(s, s.decoder.decode(bytes, { stream: true })),
    line: () => lineOf(s),
    cursor: () => s.rows.slice(0, s.row).reduce((sum, row) => sum + row.length, 0) + s.column,
    isWhole: () => s.isWhole,
    resize(wanted) {
      s.columns = Math.max(1, wanted)
    },
  }
}

function feed(s: State, text: string): void {
  for (let at = 0; at < text.length; ) {
    // A flood without line ends is nothing but such characters.
    if (s.take === ground && isFull(s)) at = endOfPlain(text, at)
    const char = String.fromCodePoint(text.codePointAt(at) ?? 0)
    // A sequence that a line feed interrupts was none, or was cut.
    if (at < text.length) (char === '\n' ? ground : s.take)(char, s)
    at += char.length
  }
}

/** Whether nothing that is printed here counts any more. */
const isFull = ({ row, column, columns }: State): boolean => column < columns && row * columns + column >= LINE_CHARS_MAX

function endOfPlain(text: string, from: number): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  const control = /[\u0000-\u001f\u007f]/g
  control.lastIndex = from
  return control.exec(text)?.index ?? text.length
}

const lineOf = ({ rows }: State): string => rows.map((row) => Array.from(row, (char) => char ?? ' ').join('')).join('')

function ground(char: string, s: State): void {
  if (char === '\x1b') s.take = escaped
  else if (char === '\n') breakLine(s)
  else if (char === '\r') s.column = 0
  else if (char === '\b') s.column = Math.max(0, s.column - 1)
  else if (char === '\t') s.column = Math.min(s.columns - 1, (Math.floor(s.column / TAB) + 1) * TAB)
  else if (char >= ' ' && char !== '\x7f') print(char, s)
}

function print(char: string, s: State): void {
  if (s.column >= s.columns) {
    s.row += 1
    s.column = 0
    s.rows[s.row] ??= []
  }
  if (s.row * s.columns + s.column >= LINE_CHARS_MAX) return
  const row = s.rows[s.row] ?? []
  while (row.length < s.column) row.push(' ')
  row[s.column] = char
  s.column += 1
}

function breakLine(s: State): void {
  s.take = ground
  s.onLine(lineOf(s))
  s.rows = [[]]
  s.row = 0
  s.column = 0
}

function escaped(char: string, s: State): void {
  s.params = ''
  if (char === '[') s.take = control
  else if (char === ']' || char === 'P' || char === 'X' || char === '^' || char === '_') s.take = string
  // Charset designations have one more character.
  else if ('()*+-./#%'.includes(char)) s.take = skipOne
  else s.take = ground
}

function skipOne(_: string, s: State): void {
  s.take = ground
}

/** Titles, clipboards and the like, up to BEL or ST. */
function string(char: string, s: State): void {
  if (char === '\x07' || char === '\x9c') s.take = ground
  else if (char === '\x1b') s.take = skipOne
}

function control(char: string, s: State): void {
  if (char < '@' || char > '~') {
    if (s.params.length < PARAMS_CHARS_MAX) s.params += char
    return
  }
  s.take = ground
  const [n] = s.params.split(';').map(Number)
  MOVES[char]?.(s, Math.min(Math.max(1, n || 1), LINE_CHARS_MAX), s.params)
}

const MOVES: Readonly<Record<string, (s: State, n: number, params: string) => void>> = {
  A(s, n) {
    s.row = Math.max(0, s.row - n)
  },
  B(s, n) {
    s.row = Math.min(s.rows.length - 1, s.row + n)
  },
  C(s, n) {
    s.column = Math.min(s.columns - 1, s.column + n)
  },
  D(s, n) {
    s.column = Math.max(0, s.column - n)
  },
  G(s, n) {
    s.column = Math.min(s.columns, n) - 1
  },
  H: leave,
  f: leave,
  d: leave,
  K: eraseInLine,
  J: (s, _, params) => (params === '2' || params === '3' ? leave(s) : eraseInLine(s, 1, params)),
  P: (s, n) => void s.rows[s.row]?.splice(s.column, n),
  '@'(s, n) {
    const row = s.rows[s.row]
    if (!row) return
    row.splice(s.column, 0, ...Array.from({ length: Math.min(n, s.columns) }, () => ' '))
    // What is pushed over the edge is gone, as on a terminal.
    if (row.length > s.columns) row.length = s.columns
  },
  X: (s, n) => void s.rows[s.row]?.fill(' ', s.column, s.column + n),
  h(s, _, params) {
    if (isWholeMode(params)) s.isWhole = true
  },
  l(s, _, params) {
    if (isWholeMode(params)) s.isWhole = false
  },
}

const isWholeMode = (params: string): boolean => /^\?(47|1047|1049)$/.test(params)

/** The cursor goes to another line of the screen: what stood here is as good as ended. */
function leave(s: State): void {
  if (lineOf(s).trim() === '') {
    s.rows = [[]]
    s.row = 0
    s.column = 0
  } else breakLine(s)
}

function eraseInLine(s: State, _: number, params: string): void {
  const row = s.rows[s.row]
  if (!row) return
  if (params === '1') row.fill(' ', 0, s.column + 1)
  else if (params === '2') row.length = 0
  else {
    row.length = Math.min(row.length, s.column)
    s.rows.length = s.row + 1
  }
}
