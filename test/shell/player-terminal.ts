import { readdirSync, readFileSync } from 'node:fs'

/** The terminal of asciinema's player, which is a module of its own inside it. */
export interface PlayerTerminal {
  readonly feed: (text: string) => void
  readonly resize: (columns: number, rows: number) => void
  /** Everything the player would draw, row by row, and its cursor. */
  readonly look: () => readonly string[]
  readonly cursor: () => readonly [column: number, row: number] | null
}

type Span = readonly [at: number, count: number]
interface Line {
  readonly bg: Span
  readonly text: Span
  readonly codepoints: Span
  readonly raster_symbols: Span
  readonly vector_symbols: Span
}
interface Vt {
  feed(text: string): void
  resize(columns: number, rows: number): void
  getLine(row: number, isCursorOn: boolean): Line
  getCursor(): [number, number] | null
  getSize(): Uint32Array
  free(): void
}
interface Module {
  default(): Promise<{ readonly memory: WebAssembly.Memory }>
  create(columns: number, rows: number, scrollback: number, isBoldBright: boolean): Vt
}

const DIST = 'node_modules/asciinema-player/dist'
/** Of the items of a span: their bytes, how many of them mean something, and where a colour stands. */
const ITEMS = {
  bg: { bytes: 8, meant: 8, colour: 4 },
  text: { bytes: 12, meant: 11, colour: 6 },
  codepoints: { bytes: 4, meant: 4, colour: undefined },
  raster_symbols: { bytes: 12, meant: 12, colour: 8 },
  vector_symbols: { bytes: 16, meant: 13, colour: 8 },
} as const
/** By the first byte of a colour: how many of the three behind it count. */
const COLOUR_BYTES = [0, 0, 0, 1, 3]

async function loadModule(): Promise<Module> {
  const name = readdirSync(DIST).find((file) => /^opts-.*\.js$/.test(file)) ?? ''
  const source = readFileSync(`${DIST}/${name}`, 'utf8')
  const code = source.slice(source.indexOf('let wasm;'), source.indexOf('const memory = vt.then'))
  return (await new Function(`${code}; return vt`)()) as Module
}

/** Answers what makes such terminals. */
export async function loadPlayerTerminal(): Promise<(columns: number, rows: number) => PlayerTerminal> {
  const module = await loadModule()
  const { memory } = await module.default()
  const bytesOf = (line: Line, name: keyof Line) => {
    const [at, count] = line[name]
    const { bytes, meant, colour } = ITEMS[name]
    return Array.from({ length: count }, (_, i) => {
      const item = Buffer.from(Buffer.from(memory.buffer, at + i * bytes, meant))
      if (colour !== undefined) item.fill(0, colour + 1 + (COLOUR_BYTES[item[colour] ?? 0] ?? 0), colour + 4)
      if (name === 'raster_symbols' || name === 'vector_symbols') item.fill(0, 2, 4)
      return item.toString('hex')
    }).join(',')
  }
  return (columns, rows) => {
    const vt = module.create(columns, rows, 100, false)
    return {
      feed: (text) => vt.feed(text),
      resize: (newColumns, newRows) => void (vt.getSize().join() === `${newColumns},${newRows}` || vt.resize(newColumns, newRows)),
      cursor: () => vt.getCursor(),
      look() {
        const [, height = 0] = vt.getSize()
        const names = Object.keys(ITEMS) as (keyof Line)[]
        return Array.from({ length: height }, (_, row) => {
          const line = vt.getLine(row, false)
          return names.map((name) => bytesOf(line, name)).join('|')
        })
      },
    }
  }
}
