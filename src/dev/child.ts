import { spawn } from 'node:child_process'
import { openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { stripVTControlCharacters } from 'node:util'
import { Complaint } from './complaint.ts'
import { signalGroup, type Warden } from './warden.ts'

/** A relay that drains its shells, or a Worker that writes its last rows, is done before this. */
const GRACE_MS = 10_000
/** Last words arrive after the exit; something that inherited the pipe may hold it open for good. */
const LAST_WORDS_MS = 500

/** How a program says that it is ready, or that it never will be. */
export interface Startup {
  ready(): void
  fail(reason: string): void
}

/** A Node program, and what to make of what it says. */
export interface PartOptions {
  /** As in "The relay ended". */
  readonly name: string
  /** What it means when it never gets ready, as in "The relay does not start". */
  readonly failure: string
  readonly cwd: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly logPath: string
  readonly warden: Warden
  /** What reads its lines, blank ones left out. */
  reader(startup: Startup): (line: string) => void
  onMessage?(message: unknown, startup: Startup): void
}

/** A program of ours that runs. */
export interface Part {
  readonly name: string
  /** @throws Complaint when it fails or ends first */
  readonly ready: Promise<void>
  /** Resolves with how it ended: an exit code, a signal or a message. */
  readonly ended: Promise<number | string>
  /** Asks it to end, then ends it and whatever it started. */
  stop(): Promise<void>
}

/** Starts a program under this Node, in a process group of its own: Ctrl-C reaches it in our order, not all at once. */
export function startPart(options: PartOptions): Part {
  const { name, failure, cwd, args, env, warden, onMessage } = options
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
  const startup: Startup = { ready: resolve, fail: (reason) => reject(new Complaint(`${failure}: ${reason}.`)) }
  ready.catch(() => undefined)
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe', onMessage ? 'ipc' : 'ignore'] })
  const { pid } = child
  if (pid !== undefined) warden.watch(pid)
  let last = ''
  const read = options.reader(startup)
  readLines(options, [child.stdout, child.stderr], (line) => {
    last = line
    read(line)
  })
  if (onMessage) child.on('message', (message) => onMessage(message, startup))
  let hasEnded = false
  const ended = new Promise<number | string>((done) => {
    child.once('error', (error) => done(error.message))
    child.once('exit', (code, signal) => {
      hasEnded = true
      if (pid !== undefined) leave(pid, warden)
      const how = signal ?? code ?? 0
      child.once('close', () => done(how))
      setTimeout(done, LAST_WORDS_MS, how).unref()
    })
  })
  void ended.then((how) => startup.fail(last || `it ended with ${how}`))
  return { name, ready, ended, stop: async () => void (pid === undefined || hasEnded || (await stopGroup(pid, ended))) }
}

function readLines({ logPath }: PartOptions, inputs: readonly (NodeJS.ReadableStream | null)[], onLine: (line: string) => void): void {
  const log = openSync(logPath, 'w', 0o600)
  for (const input of inputs) {
    if (input === null) continue
    createInterface({ input }).on('line', (raw) => {
      const line = stripVTControlCharacters(raw)
      writeSync(log, `${line}\n`)
      if (line.trim()) onLine(line)
    })
  }
}

/** What a program left behind ends with it, at once: later its number may be somebody else's. */
function leave(pid: number, warden: Warden): void {
  signalGroup(pid, 'SIGKILL')
  warden.forget(pid)
}

async function stopGroup(pid: number, ended: Promise<unknown>): Promise<void> {
  const timer = setTimeout(signalGroup, GRACE_MS, pid, 'SIGKILL')
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // It ends just now.
  }
  await ended
  clearTimeout(timer)
}
