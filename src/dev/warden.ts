import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Wrangler and the relay end well within this. */
const GRACE_MS = 3_000

/** Outlives a stack that was killed, and ends what it left behind. */
export interface Warden {
  /** Adds the process group that `pid` leads. */
  watch(pid: number): void
  /** Leaves out a group that has ended: its number may become somebody else's. */
  forget(pid: number): void
  /** Resolves when the warden itself has ended. */
  readonly gone: Promise<void>
  close(): void
}

/**
 * Starts the warden in a process group of its own. The end of its input is the end of this process, however that came about:
 * the kernel closes the pipe even after SIGKILL.
 */
export function startWarden(): Warden {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  child.stdin.on('error', () => undefined)
  return {
    watch: (pid) => void child.stdin.write(`+${pid}\n`),
    forget: (pid) => void child.stdin.write(`-${pid}\n`),
    gone: new Promise((resolve) => child.once('error', () => resolve()).once('exit', () => resolve())),
    close: () => child.stdin.end(),
  }
}

/** Signals a whole process group. @returns whether there was one */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}

async function keepWatch(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  const pids = new Set<number>()
  for await (const line of createInterface({ input: process.stdin })) {
    const [, sign, digits] = /^([+-])(\d+)$/.exec(line) ?? []
    if (sign === '+') pids.add(Number(digits))
    else pids.delete(Number(digits))
  }
  const left = [...pids].filter((pid) => pid > 1 && signalGroup(pid, 'SIGTERM'))
  if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, GRACE_MS))
  for (const pid of left) signalGroup(pid, 'SIGKILL')
}

if (import.meta.main) await keepWatch()
