import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { ALERT_QUIET_MS, createAlertScan } from '../../src/edge/shell/alert-scan.ts'
import { isAllowed, quoted, wordsOf } from '../../src/edge/shell/argv.ts'

test('a plain command is its words; quotes hold them together', () => {
  const plain: readonly (readonly [string, readonly string[]])[] = [
    ['systemctl restart nginx', ['systemctl', 'restart', 'nginx']],
    ['  echo\t\'two words\' "and three more" a\'b\'"c" ', ['echo', 'two words', 'and three more', 'abc']],
    ["printf '%s\\n' '$HOME;`id`'", ['printf', '%s\\n', '$HOME;`id`']],
    ["/bin/cat '' x", ['/bin/cat', '', 'x']],
  ]
  for (const [command, words] of plain) expect(wordsOf(command)).toEqual(words)
})

test('what a shell reads anything else into is no plain command', () => {
  const hidden = [
    'a;b',
    'a|b',
    'a&b',
    'a&&b',
    'a>b',
    'a<b',
    'a $b',
    'a `b`',
    'a "$(b)"',
    'a "`b`"',
    'a "\\x"',
    'a b\\c',
    'a\nb',
    "a 'b\nc'",
    'a *',
    'a ?',
    'a [b]',
    'a {b,c}',
    'a ~root',
    'a #b',
    'a !b',
    '"a!b"',
    'A=b c',
    "'A=b' c",
    'a (b)',
    'a "b',
    "a 'b",
    '',
    '   ',
    "''",
    'a é',
    'a\r',
    'a\u0000',
    'a\u00a0b',
    'r\u200bm',
  ]
  expect(hidden.filter((command) => wordsOf(command) !== undefined)).toEqual([])
})

test('words that are quoted again reach a real shell as they were judged', () => {
  const words = ['printf', '%s|', "it's", '$HOME', '`id`', '*', '~', 'a b', '"', '\\', '', '!x', '#']
  expect(execFileSync('sh', ['-c', quoted(words)], { encoding: 'utf8' })).toBe(`${words.slice(2).join('|')}|`)
})

test('no backslash stands inside quotes, where fish would read it', () => {
  const inside =
    quoted(['echo', '\\', "a'b\\c", '\\\\'])
      .replaceAll(/\\./g, '')
      .match(/'[^']*'/g) ?? []
  expect(inside.length).toBeGreaterThan(4)
  expect(inside.filter((part) => part.includes('\\'))).toEqual([])
})

test('rules are of words in order: denied under every path, allowed under one name', () => {
  const allow = [['systemctl', 'status', '*'], ['tail', '-n', '*', '/var/log/*.log'], ['uptime'], ['docker', 'ps', '**']]
  const deny = [
    ['rm', '**'],
    ['*', '--force'],
    ['docker', 'ps', '--no-trunc'],
  ]
  const may = (command: string) => isAllowed(wordsOf(command) ?? [], { allow, deny })
  for (const command of ['systemctl status nginx', 'tail -n 5 /var/log/app.log', 'uptime', 'docker ps', 'docker ps -a --size'])
    expect(may(command)).toBe(true)
  for (const command of [
    'systemctl status',
    'systemctl status a b',
    'systemctl restart a',
    '/tmp/uptime',
    'uptime --force',
    'docker ps --no-trunc',
    'rm x',
    '/bin/rm x',
    './rm',
    'SYSTEMCTL status a',
    'tail -n 5 /etc/passwd',
    'docker',
  ])
    expect(may(command)).toBe(false)
  expect(isAllowed(['anything'], { allow: null, deny })).toBe(true)
  expect(isAllowed(['anything'], { allow: [], deny: [] })).toBe(false)
  const startedAt = performance.now()
  isAllowed(['a'.repeat(30_000)], { allow: [[`${'*a'.repeat(100)}b`]], deny: [] })
  expect(performance.now() - startedAt).toBeLessThan(2_000)
})

test('an alert sees words through colours and across chunks, and is raised once in a while', () => {
  const rule = { name: 'root', text: 'become root' }
  const scan = createAlertScan([rule, { name: 'other', text: 'never' }])
  const push = (text: string, now = 0) => scan.push(new TextEncoder().encode(text), now).map(({ name }) => name)
  expect(push('$ \u001b[31mbec')).toEqual([])
  expect(push('ome\u001b[0m ro\u001b]0;title\u0007ot now\r\n')).toEqual(['root'])
  expect(push('become root\r\n', 1)).toEqual([])
  expect(push('become\nroot\n', ALERT_QUIET_MS)).toEqual([])
  expect(push('become root\n', ALERT_QUIET_MS)).toEqual(['root'])
  expect(push('x'.repeat(100_000), ALERT_QUIET_MS * 3)).toEqual([])
  expect(push(' become root', ALERT_QUIET_MS * 3)).toEqual(['root'])
  expect(createAlertScan([]).push(new Uint8Array(10), 0)).toEqual([])
})
