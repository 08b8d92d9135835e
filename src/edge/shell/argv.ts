import type { CommandRule } from '../../contract/shell-policy.ts'

/** What a shell gives a meaning of its own, outside quotes and inside double ones. */
const BARE = /[^A-Za-z0-9_@%+=:,./-]/
const LITERAL_IN_DOUBLE = /[$`\\!]/

/**
 * The words of a plain command: words apart by blanks, quotes without expansion. Nothing when a shell would read anything else into it, be it
 * a pipe, a variable, a second line, an assignment or a glob: what cannot be judged does not run.
 */
export function wordsOf(command: string): readonly string[] | undefined {
  const words: string[] = []
  let at = 0
  while (at < command.length) {
    const blank = /^[ \t]+/.exec(command.slice(at))
    if (blank) {
      at += blank[0].length
      continue
    }
    const word = readWord(command, at)
    if (!word) return undefined
    words.push(word.text)
    at = word.end
  }
  const [program] = words
  return program === undefined || program === '' || program.includes('=') ? undefined : words
}

function readWord(command: string, start: number): { readonly text: string; readonly end: number } | undefined {
  let text = ''
  let at = start
  while (at < command.length && command[at] !== ' ' && command[at] !== '\t') {
    const quote = command[at]
    if (quote === "'" || quote === '"') {
      const end = command.indexOf(quote, at + 1)
      const inside = command.slice(at + 1, end)
      if (end === -1 || /[\n\r]/.test(inside) || (quote === '"' && LITERAL_IN_DOUBLE.test(inside))) return undefined
      text += inside
      at = end + 1
    } else if (BARE.test(quote ?? '')) return undefined
    else {
      text += quote
      at += 1
    }
  }
  return { text, end: at }
}

/**
 * The words as a command that every shell of Unix reads as just these words: what was judged is what runs. A backslash stands outside the
 * quotes as a quote does, for fish reads it inside them.
 */
export const quoted = (words: readonly string[]): string => words.map((word) => `'${word.replaceAll(/['\\]/g, "'\\$&'")}'`).join(' ')

/** Whether the rules let a command run. */
export function isAllowed(
  words: readonly string[],
  rules: { readonly allow: readonly CommandRule[] | null; readonly deny: readonly CommandRule[] },
): boolean {
  const [program = '', ...rest] = words
  const plain = [program.slice(program.lastIndexOf('/') + 1), ...rest]
  if (rules.deny.some((rule) => matches(rule, words) || matches(rule, plain))) return false
  return rules.allow === null || rules.allow.some((rule) => matches(rule, words))
}

function matches(rule: CommandRule, words: readonly string[]): boolean {
  const isOpen = rule.at(-1) === '**'
  const fixed = isOpen ? rule.slice(0, -1) : rule
  if (words.length < fixed.length || (!isOpen && words.length > fixed.length)) return false
  return fixed.every((pattern, i) => matchesWord(pattern, words[i] ?? ''))
}

/** `*` is any run of characters. Greedy from the left with one step back, so no pattern takes more than pattern times word. */
function matchesWord(pattern: string, word: string): boolean {
  let p = 0
  let w = 0
  let star = -1
  let mark = 0
  while (w < word.length) {
    if (pattern[p] === '*') {
      star = p++
      mark = w
    } else if (pattern[p] === word[w]) {
      p += 1
      w += 1
    } else if (star >= 0) {
      p = star + 1
      w = ++mark
    } else return false
  }
  while (pattern[p] === '*') p += 1
  return p === pattern.length
}
