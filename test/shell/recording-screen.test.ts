import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createScreen, resize, type Screen } from '../../src/edge/shell/screen.ts'
import { paint } from '../../src/edge/shell/screen-paint.ts'
import { createParser, feed, type Parser } from '../../src/edge/shell/screen-parser.ts'
import { widthOf } from '../../src/edge/shell/screen-width.ts'
import { loadPlayerTerminal, type PlayerTerminal } from './player-terminal.ts'

const playerTerminal = await loadPlayerTerminal()

type Step = string | readonly [columns: number, rows: number]

interface Ours {
  readonly screen: Screen
  readonly parser: Parser
}

const ours = (columns: number, rows: number): Ours => ({ screen: createScreen(columns, rows), parser: createParser() })
const painted = ({ screen, parser }: Ours): string => paint(screen, parser, 10_000_000) ?? ''

function step(to: Ours | PlayerTerminal, what: Step): void {
  if ('screen' in to) {
    if (typeof what === 'string') feed(to.screen, to.parser, what)
    else resize(to.screen, ...what)
  } else if (typeof what === 'string') to.feed(what)
  else to.resize(...what)
}

const seen = (terminal: PlayerTerminal) => ({ rows: terminal.look(), cursor: terminal.cursor() })

const number = fc.oneof(fc.constant(''), fc.integer({ min: 0, max: 12 }).map(String), fc.constant('999'))
const csi = fc
  .tuple(fc.constantFrom(...'@ABCDEFGHIJKLMPSTXZ`abdefgrsuW'), number, number)
  .map(([final, a, b]) => `\x1b[${a}${b === '' ? '' : `;${b}`}${final}`)
const sgr = fc
  .array(
    fc.constantFrom(
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
      '7',
      '9',
      '22',
      '27',
      '31',
      '42',
      '95',
      '106',
      '38;5;200',
      '48;2;1;2;3',
      '38:2::9:8:7',
      '39',
      '49',
    ),
    {
      maxLength: 4,
    },
  )
  .map((codes) => `\x1b[${codes.join(';')}m`)
const mode = fc
  .tuple(fc.constantFrom('?1', '?6', '?7', '?25', '?47', '?1047', '?1048', '?1049', '4', '20'), fc.constantFrom('h', 'l'))
  .map(([name, final]) => `\x1b[${name}${final}`)
const charge = fc.constantFrom(
  '\x1b7',
  '\x1b8',
  '\x1bD',
  '\x1bE',
  '\x1bH',
  '\x1bM',
  '\x1b(0',
  '\x1b(B',
  '\x1b)0',
  '\x1b#8',
  '\x1b[!p',
  '\x0e',
  '\x0f',
)
const rare = fc.constantFrom(
  '\x1bc',
  '\x1b]0;title\x07',
  '\x1bPq#0\x1b\\',
  '\x1b[?1$p',
  '\x1b[:1m',
  '\x1b[3',
  '\x1b',
  '\x1b]0;ti',
  '\x9b1',
  '\x1b[38;5',
)
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'ab xyz-'), maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('漢', '字', '🦀', 'e', '\u0301', 'é'), maxLength: 8 }),
  fc.constantFrom('\r\n', '\n', '\r', '\b', '\t', '\r\n\r\n\r\n'),
)
const output = fc.oneof({ weight: 6, arbitrary: text }, { weight: 5, arbitrary: csi }, { weight: 3, arbitrary: sgr }, mode, charge, {
  weight: 1,
  arbitrary: rare,
})
const size = fc.tuple(fc.integer({ min: 2, max: 14 }), fc.integer({ min: 2, max: 7 }))
const program = fc.array(fc.oneof({ weight: 12, arbitrary: output }, { weight: 1, arbitrary: size }), { maxLength: 40 })
const fuzz = process.env['SCREEN_FUZZ']
/** The same programs each time, unless more are asked for. */
const runs = fuzz === undefined ? { numRuns: 1500, seed: 1 } : { numRuns: Number(fuzz) }

test('a painted screen is the one that played from the start, and goes on like it', () => {
  fc.assert(
    fc.property(size, program, fc.array(output, { maxLength: 15 }), (first, before, after) => {
      const player = playerTerminal(...first)
      const screen = ours(...first)
      for (const what of before) {
        step(player, what)
        step(screen, what)
      }
      const seeker = playerTerminal(screen.screen.columns, screen.screen.height)
      seeker.feed(painted(screen))
      expect(seen(seeker)).toEqual(seen(player))
      for (const what of after) {
        step(player, what)
        step(seeker, what)
      }
      expect(seen(seeker)).toEqual(seen(player))
    }),
    runs,
  )
})

test('every character is as wide as the player has it', () => {
  const player = playerTerminal(4, 2)
  const widths = (code: number) => {
    player.feed(`\r${String.fromCodePoint(code)}`)
    return player.cursor()?.[0]
  }
  for (let code = 0xa0; code <= 0x10ffff; code++)
    if (code < 0xd800 || code > 0xdfff) if (widths(code) !== widthOf(code)) expect(code).toBe('as wide')
})
