import { StringDecoder } from 'node:string_decoder'

/** What the shell draws on. */
export interface DemoTerminal {
  write(text: string): void
  /** The program is over. */
  exit(code: number): void
}

/** A pretended shell: it knows a few commands and a few files, all of them in this file. */
export interface DemoShell {
  input(bytes: Buffer): void
  interrupt(): void
}

type Files = { readonly [name: string]: string | Files }

const FILES: Files = {
  'welcome.txt':
    'You are looking at a demo host. It lives inside Parvis, has no disk and no programs,\nand everything you type goes nowhere.\n',
  'poem.txt': 'The door is wide, the court is bright,\nwho comes by day may stay the night.\n',
  logs: {
    'today.log': '08:00 the gate opens\n08:01 the first guest\n12:00 the bell\n20:00 the gate closes\n',
    'empty.log': '',
  },
  recipes: { 'tea.txt': 'Boil water. Wait. Pour. Wait again.\n' },
}

const HELP = `Commands of this demo host:
  help              this list
  ls [folder]       what is here
  cat <file>        show a file
  echo <words>      say something
  whoami            who you are here
  date              the time
  count [to]        count, slowly; Ctrl-C stops it
  sleep <seconds>   do nothing for a while
  colors            what your terminal can show
  exit [code]       leave
`
const COUNT_TO_MAX = 10_000
const COUNT_STEP_MS = 100
const SLEEP_SECONDS_MAX = 3_600
const LINE_CHARS_MAX = 4_096
const HISTORY_LINES_MAX = 100
const PROMPT = '\x1b[32mdemo@parvis\x1b[0m:~$ '

/** Where a command writes, and when it must stop. */
interface Run {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly signal: AbortSignal
}

type Command = (words: readonly string[], run: Run) => number | Promise<number>

const COMMANDS: Readonly<Record<string, Command>> = {
  help: (_words, { out }) => say(out, HELP),
  ls: listFolder,
  cat: showFiles,
  echo: (words, { out }) => say(out, `${words.join(' ')}\n`),
  whoami: (_words, { out }) => say(out, 'demo\n'),
  pwd: (_words, { out }) => say(out, '/home/demo\n'),
  date: (_words, { out }) => say(out, `${new Date().toUTCString()}\n`),
  count: countUp,
  sleep: async ([seconds], { signal }) => ((await pause(Math.min(Number(seconds) || 0, SLEEP_SECONDS_MAX) * 1000, signal)) ? 0 : 130),
  colors: showColors,
  true: () => 0,
  false: () => 1,
}

/** Runs one line of commands separated by `;`. @returns the exit code of the last */
export async function runDemoLine(line: string, run: Run): Promise<{ readonly code: number; readonly isExit: boolean }> {
  let code = 0
  for (const part of line.split(';')) {
    const [name, ...words] = splitWords(part)
    if (name === undefined) continue
    if (name === 'exit' || name === 'logout') return { code: Number(words[0] ?? code) & 255, isExit: true }
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (command === undefined) run.err(`${visible(name)}: no such command here; try help\n`)
    code = command === undefined ? 127 : await command(words, run)
    if (run.signal.aborted) return { code: 130, isExit: false }
  }
  return { code, isExit: false }
}

/** A shell on a terminal: echo, editing, history, Ctrl-C. */
export function createDemoShell(terminal: DemoTerminal): DemoShell {
  const decoder = new StringDecoder('utf8')
  const editor: Editor = { text: '', cursor: 0, history: [], past: 0, escape: '' }
  let running: AbortController | undefined
  const waiting: string[] = []

  const out = (text: string): void => terminal.write(text.replaceAll('\n', '\r\n'))
  const run = async (line: string): Promise<void> => {
    running = new AbortController()
    const { code, isExit } = await runDemoLine(line, { out, err: out, signal: running.signal })
    running = undefined
    if (isExit) {
      out('logout\n')
      terminal.exit(code)
      return
    }
    out(PROMPT)
    for (const key of waiting.splice(0)) type(key)
  }
  const interrupt = (): void => {
    waiting.length = 0
    if (running === undefined) out(`^C\n${PROMPT}`)
    else out('^C\n')
    Object.assign(editor, { text: '', cursor: 0, escape: '' })
    running?.abort()
  }
  const type = (key: string): void => {
    if (key === '\x03') interrupt()
    else if (running !== undefined) waiting.push(key)
    else if (key === '\r' || key === '\n') {
      out('\n')
      void run(takeLine(editor))
    } else if (key === '\x04' && editor.text === '') void run('exit')
    else out(edit(editor, key))
  }
  out('\x1b[1mParvis demo host.\x1b[0m Nothing here is real. Try \x1b[1mhelp\x1b[0m.\n')
  out(PROMPT)
  return {
    input(bytes) {
      for (const key of decoder.write(bytes)) if (waiting.length < LINE_CHARS_MAX || key === '\x03') type(key)
    },
    interrupt,
  }
}

interface Editor {
  text: string
  cursor: number
  readonly history: string[]
  /** How many lines back in history. */
  past: number
  /** An escape sequence that is not whole yet. */
  escape: string
}

/** Applies one key. @returns what to write to the terminal */
function edit(editor: Editor, key: string): string {
  if (editor.escape !== '' || key === '\x1b') return editEscape(editor, key)
  if (key === '\x7f' || key === '\b') return replace(editor, Math.max(0, editor.cursor - 1), '')
  if (key === '\x15') return replace(editor, 0, '')
  if (key === '\x17') return replace(editor, editor.text.slice(0, editor.cursor).search(/\S*\s*$/), '')
  if (key === '\x01') return move(editor, 0)
  if (key === '\x05') return move(editor, editor.text.length)
  if (key === '\x0c') return `\x1b[2J\x1b[H${PROMPT}${editor.text}${back(editor.text.length - editor.cursor)}`
  if (key < ' ' || editor.text.length >= LINE_CHARS_MAX) return '\x07'
  return replace(editor, editor.cursor, key)
}

function editEscape(editor: Editor, key: string): string {
  editor.escape += key
  const sequence = editor.escape.slice(1)
  if (sequence === 'O' || (/^(\[[0-9;]*)?$/.test(sequence) && sequence.length < 16)) return ''
  const last = editor.escape.at(-1)
  editor.escape = ''
  if (last === 'D') return move(editor, Math.max(0, editor.cursor - 1))
  if (last === 'C') return move(editor, Math.min(editor.text.length, editor.cursor + 1))
  if (last === 'A') return recall(editor, 1)
  return last === 'B' ? recall(editor, -1) : ''
}

/** Replaces the text from `start` to the cursor. */
function replace(editor: Editor, start: number, text: string): string {
  const erased = editor.cursor - start
  const tail = editor.text.slice(editor.cursor)
  editor.text = editor.text.slice(0, start) + text + tail
  editor.cursor = start + text.length
  return `${back(erased)}${text}${tail}\x1b[K${back(tail.length)}`
}

function move(editor: Editor, to: number): string {
  const steps = to - editor.cursor
  editor.cursor = to
  return steps < 0 ? back(-steps) : steps > 0 ? `\x1b[${steps}C` : ''
}

function recall(editor: Editor, step: number): string {
  editor.past = Math.min(Math.max(editor.past + step, 0), editor.history.length)
  const line = editor.history.at(-editor.past)
  return move(editor, editor.text.length) + replace(editor, 0, editor.past === 0 || line === undefined ? '' : line)
}

function takeLine(editor: Editor): string {
  const line = editor.text
  if (line.trim() !== '') editor.history.push(line)
  if (editor.history.length > HISTORY_LINES_MAX) editor.history.shift()
  Object.assign(editor, { text: '', cursor: 0, past: 0 })
  return line
}

const back = (steps: number): string => (steps > 0 ? `\x1b[${steps}D` : '')

function say(out: (text: string) => void, text: string): number {
  out(text)
  return 0
}

// Quotes hold words together; nothing is expanded.
function splitWords(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, bare]) => double ?? single ?? bare ?? '')
}

// What a visitor typed is never sent back as an escape sequence.
const visible = (text: string): string => text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')

function find(path: string): string | Files | undefined {
  const names = path
    .replace(/^(~|\/home\/demo)(\/|$)/, '')
    .split('/')
    .filter((name) => name !== '' && name !== '.')
  let here: string | Files | undefined = FILES
  for (const name of names) here = typeof here === 'object' && Object.hasOwn(here, name) ? here[name] : undefined
  return here
}

function listFolder(words: readonly string[], { out, err }: Run): number {
  const path = words.find((word) => !word.startsWith('-')) ?? '.'
  const found = find(path)
  if (found === undefined) {
    err(`ls: ${visible(path)}: nothing by that name\n`)
    return 2
  }
  const names =
    typeof found === 'string'
      ? [path]
      : Object.entries(found).map(([name, entry]) => (typeof entry === 'string' ? name : `\x1b[34m${name}/\x1b[0m`))
  return say(out, `${names.join('  ')}\n`)
}

function showFiles(words: readonly string[], { out, err }: Run): number {
  let code = 0
  for (const path of words) {
    const found = find(path)
    if (typeof found === 'string') out(found)
    else {
      err(`cat: ${visible(path)}: ${found === undefined ? 'nothing by that name' : 'is a folder'}\n`)
      code = 1
    }
  }
  return code
}

async function countUp([to]: readonly string[], { out, signal }: Run): Promise<number> {
  const end = Math.min(Number(to ?? 10) || 0, COUNT_TO_MAX)
  for (let i = 1; i <= end; i += 1) {
    out(`${i}\n`)
    if (i < end && !(await pause(COUNT_STEP_MS, signal))) return 130
  }
  return 0
}

function showColors(_words: readonly string[], { out }: Run): number {
  const cell = (code: number): string => `\x1b[48;5;${code}m  \x1b[0m`
  const row = (start: number, length: number): string => Array.from({ length }, (_, i) => cell(start + i)).join('')
  return say(out, `${[row(0, 8), row(8, 8), ...Array.from({ length: 6 }, (_, i) => row(16 + i * 36, 36)), row(232, 24)].join('\n')}\n`)
}

/** @returns false when it was cut short */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve(false)
    })
  })
}
