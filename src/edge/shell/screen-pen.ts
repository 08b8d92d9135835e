import { ATTRIBUTES, BOLD, COLOUR, FAINT, PALETTE, type Pen, PLAIN, RGB } from './screen-row.ts'

const PARAMS_MAX = 32
const PARTS_MAX = 6
const WEIGHT = BOLD | FAINT

/** The parameters of a sequence, each with its parts: `38:5:1;4` is 38, 5, 1 and 4. */
export const paramsOf = (text: string): number[][] => text.split(';', PARAMS_MAX).map((param) => param.split(':', PARTS_MAX).map(wordOf))

/** As sixteen bits take it. */
const wordOf = (digits: string): number => Array.from(digits, Number).reduce((word, digit) => (word * 10 + digit) % 0x10000, 0)

type Change = (pen: Pen) => Pen
const attribute =
  (bit: number, isSet: boolean): Change =>
  ({ fg, bg }) => ({ fg: isSet ? fg | bit : fg & ~bit, bg })
const weight =
  (bits: number): Change =>
  ({ fg, bg }) => ({ fg, bg: (bg & ~WEIGHT) | bits })

const CHANGES: Readonly<Record<number, Change>> = {
  0: () => PLAIN,
  1: weight(BOLD),
  2: weight(FAINT),
  3: attribute(ATTRIBUTES.italic, true),
  4: attribute(ATTRIBUTES.underline, true),
  5: attribute(ATTRIBUTES.blink, true),
  7: attribute(ATTRIBUTES.inverse, true),
  9: attribute(ATTRIBUTES.strike, true),
  21: weight(0),
  22: weight(0),
  23: attribute(ATTRIBUTES.italic, false),
  24: attribute(ATTRIBUTES.underline, false),
  25: attribute(ATTRIBUTES.blink, false),
  27: attribute(ATTRIBUTES.inverse, false),
  29: attribute(ATTRIBUTES.strike, false),
}

const FOREGROUND = 30
const BACKGROUND = 40
const BRIGHT = 60

/** The pen after SGR. */
export function penAfter(before: Pen, params: readonly (readonly number[])[]): Pen {
  let pen = before
  for (let at = 0; at < params.length; ) {
    const parts = params[at] ?? []
    const [code = 0] = parts
    const isForeground = code - FOREGROUND === 8
    if (parts.length > 1) pen = coloured(pen, isForeground, partsColour(parts))
    else if (isForeground || code - BACKGROUND === 8) {
      const { colour, taken } = listColour(params.slice(at + 1, at + 5))
      pen = coloured(pen, isForeground, colour)
      at += taken
    } else pen = CHANGES[code]?.(pen) ?? paletted(pen, code)
    at += 1
  }
  return pen
}

const coloured = ({ fg, bg }: Pen, isForeground: boolean, colour: number | undefined): Pen => {
  if (colour === undefined) return { fg, bg }
  return isForeground ? { fg: (fg & ~COLOUR) | colour, bg } : { fg, bg: (bg & ~COLOUR) | colour }
}

function paletted(pen: Pen, code: number): Pen {
  for (const [base, bright] of [
    [FOREGROUND, 0],
    [BACKGROUND, 0],
    [FOREGROUND + BRIGHT, 8],
    [BACKGROUND + BRIGHT, 8],
  ] as const) {
    const isForeground = base === FOREGROUND || base === FOREGROUND + BRIGHT
    if (code >= base && code < base + 8) return coloured(pen, isForeground, PALETTE | (code - base + bright))
    if (code === base + 9 && bright === 0) return coloured(pen, isForeground, 0)
  }
  return pen
}

const rgb = (r: number, g: number, b: number): number => RGB | ((r & 0xff) << 16) | ((g & 0xff) << 8) | (b & 0xff)

/** `38:5:n`, `38:2:r:g:b` or `38:2:space:r:g:b`. */
function partsColour(parts: readonly number[]): number | undefined {
  const [code = 0, kind, ...rest] = parts
  if (code !== FOREGROUND + 8 && code !== BACKGROUND + 8) return undefined
  if (kind === 5 && rest.length === 1) return PALETTE | ((rest[0] ?? 0) & 0xff)
  const [r = 0, g = 0, b = 0] = rest.slice(-3)
  return kind === 2 && rest.length >= 3 ? rgb(r, g, b) : undefined
}

/** `38;5;n` or `38;2;r;g;b`, and how many parameters belong to it. */
function listColour(params: readonly (readonly number[])[]): { readonly colour?: number; readonly taken: number } {
  const [kind = [], ...rest] = params
  if (kind.length !== 1 || (kind[0] !== 5 && kind[0] !== 2)) return { taken: 0 }
  const [a = 0, b = 0, c = 0] = rest.map((parts) => parts[0] ?? 0)
  if (kind[0] === 5) return rest.length < 1 ? { taken: 1 } : { colour: PALETTE | (a & 0xff), taken: 2 }
  return rest.length < 3 ? { taken: 1 } : { colour: rgb(a, b, c), taken: 4 }
}
