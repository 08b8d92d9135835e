import { expect, test } from 'vitest'
import { createLineDetector, type EnteredLine } from '../../src/edge/shell/line-detector.ts'
import { createLineScreen } from '../../src/edge/shell/line-screen.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

/** A terminal that is typed into (`<`) and shows (`>`), in the order of a story. */
function entered(story: readonly (readonly ['<' | '>', string])[], columns = 80): EnteredLine[] {
  const lines: EnteredLine[] = []
  const detector = createLineDetector(columns, (line) => lines.push(line))
  for (const [way, text] of story) way === '<' ? detector.typed(bytes(text)) : detector.shown(bytes(text))
  return lines
}
const texts = (story: Parameters<typeof entered>[0], columns?: number) => entered(story, columns).map(({ text }) => text)

test('a line is what stands behind the prompt when Enter is answered', () => {
  expect(
    texts([
      ['>', 'ada@web:~$ '],
      ['<', 'l'],
      ['>', 'l'],
      ['<', 's -la\r'],
      ['>', 's -la\r\ntotal 0\r\nada@web:~$ '],
    ]),
  ).toEqual(['ls -la'])
})

test('what was corrected, completed or recalled counts as it was shown in the end', () => {
  expect(
    texts([
      ['>', '$ '],
      ['<', 'lz\x7fs\t'],
      ['>', 'lz\b \bs --color'],
      ['<', '\x1b[A'],
      ['>', '\r$ \x1b[Kuptime'],
      ['<', '\r'],
      ['>', '\r\n 15:00 up\r\n'],
    ]),
  ).toEqual(['uptime'])
})

test('a line that wraps is one line', () => {
  const command = `echo ${'x'.repeat(50)}`
  expect(
    texts(
      [
        ['>', '$ '],
        ['<', `${command}\r`],
        ['>', `${command.slice(0, 18)}${command.slice(18, 38)} \r${command.slice(38)}\r\n`],
      ],
      20,
    ),
  ).toEqual([command])
})

test('what nobody sees is in no line, however it is typed', () => {
  const story = [
    ['>', '$ '],
    ['<', 'sudo id\r'],
    ['>', 'sudo id\r\n[sudo] password for ada: '],
    ['<', 'hunter2'],
    ['<', '\r'],
    ['>', '\r\nuid=0(root)\r\n$ '],
    ['<', 'id\r'],
    ['>', 'id\r\n'],
  ] as const
  expect(entered(story)).toEqual([
    { text: 'sudo id', isTyped: true },
    { text: '', isTyped: true },
    { text: 'id', isTyped: true },
  ])
})

test('lines pasted together are known by the prompt before them', () => {
  expect(
    texts([
      ['>', '$ '],
      ['<', 'true\r'],
      ['>', 'true\r\n$ '],
      ['<', 'first\rsecond\r'],
      ['>', 'first\r\nout\r\n'],
      ['>', '$ second\r\n'],
    ]),
  ).toEqual(['true', 'first', 'second'])
})

test('a line typed before its prompt is shown is known by the prompt before it', () => {
  expect(
    texts([
      ['>', 'ada@web:~$ '],
      ['<', 'uptime\r'],
      ['>', 'uptime\r\n 15:00 up\r\n'],
      ['<', 'su\r'],
      ['>', 'ada@web:~$ su\r\nPassword: '],
      ['<', 'hunter2\r'],
      ['>', '\r\n'],
      ['<', 'exit\r'],
      ['>', 'ada@web:~$ exit\r\nlogout\r\n'],
    ]),
  ).toEqual(['uptime', 'su', '', 'exit'])
})

test('what is typed into an editor, or given up, is no command', () => {
  expect(
    texts([
      ['>', '$ \x1b[?1049h\x1b[2J\x1b[H~\r\n'],
      ['<', 'isecret text\r'],
      ['>', 'secret text\r\n'],
      ['>', '\x1b[?1049l$ '],
      ['<', 'half\x03'],
      ['>', 'half^C\r\n$ '],
      ['<', '\r'],
      ['>', '\r\n$ '],
    ]),
  ).toEqual([''])
})

test('a flood between two commands does not hide the second', () => {
  expect(
    texts([
      ['>', '$ '],
      ['<', 'seq 9\r'],
      ['>', 'seq 9\r\n'],
      ['>', `${'row of output\r\n'.repeat(1000)}$ `],
      ['<', 'date\r'],
      ['>', 'date\r\n'],
    ]),
  ).toEqual(['seq 9', 'date'])
})

test('a screen takes what a hostile host sends, and grows by none of it', () => {
  const lines: string[] = []
  const screen = createLineScreen(80, (line) => lines.push(line))
  screen.feed(bytes(`\x1b[${'9'.repeat(10_000)}C\x1b[99999999@\x1b]0;${'t'.repeat(10_000)}\x07\x1b[999999999P`))
  screen.feed(bytes('x'.repeat(100_000)))
  expect(screen.line().length).toBeLessThanOrEqual(4096 + 80)
  for (let i = 0; i < 2000; i++) screen.feed(crypto.getRandomValues(new Uint8Array(500)))
  screen.feed(bytes('\x18\n\nplain\n'))
  expect(lines.at(-1)).toBe('plain')
})

test('inserted blanks push what they meet off the line, so a terminal of a thousand columns holds a thousand characters', () => {
  const screen = createLineScreen(1_000, () => undefined)
  screen.feed(bytes(`end\r${'\x1b[1000@'.repeat(8_000)}`))
  expect(screen.line().length).toBeLessThanOrEqual(1_000)
  screen.feed(bytes('ab\x1b[D\x1b[2@'))
  expect(screen.line().trimEnd()).toBe('a  b')
})

test('a flood without line ends costs no more than its line may have, and the next line is whole', () => {
  const lines: string[] = []
  const screen = createLineScreen(80, (line) => lines.push(line))
  const flood = 'é'.repeat(500_000)
  screen.feed(bytes(flood.slice(0, 250_001)))
  screen.feed(bytes(flood.slice(250_001)))
  screen.feed(bytes('\x1b[31mno more\x1b[0m\rover\r\nnext 🌊 line\r\n'))
  expect(lines.map((line) => line.length)).toEqual([4096, 12])
  expect(lines[0]).toMatch(/^é+over?/)
  expect(lines[1]).toBe('next 🌊 line')
})
