import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/** A process that somebody else started. */
export interface Stranger {
  readonly pid: number
  /** The name of its program. */
  readonly name: string
}

const LISTENING = '0A'

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

const runTool = (file: string, args: readonly string[]) =>
  attempt(() => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()) || undefined

/** The command line of a running process. One that has ended and waits for its parent to notice has none. */
export function commandOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return runTool('ps', ['-o', 'args=', '-p', String(pid)])
  return attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()) || undefined
}

/** Who listens on a port, as far as this user may know. */
export function findListener(port: number): Stranger | undefined {
  const pid =
    process.platform === 'linux'
      ? ownerOf(socketsOn(port))
      : Number(runTool('lsof', ['-nPt', `-iTCP:${port}`, '-sTCP:LISTEN'])?.split('\n')[0])
  if (!pid) return undefined
  return { pid, name: basename(commandOf(pid)?.split(' ')[0] ?? 'a program') }
}

/** proc(5): the second column is the local address in hexadecimal, the fourth the state, the tenth the inode. */
function socketsOn(port: number): ReadonlySet<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => attempt(() => readFileSync(path, 'utf8').split('\n')) ?? [])
  const columns = rows.map((row) => row.trim().split(/\s+/))
  return new Set(columns.filter((c) => c[1]?.endsWith(suffix) && c[3] === LISTENING).map((c) => `socket:[${c[9]}]`))
}

function ownerOf(sockets: ReadonlySet<string>): number | undefined {
  const pids = (attempt(() => readdirSync('/proc')) ?? []).filter((name) => /^\d+$/.test(name))
  const holds = (pid: string, fd: string) => sockets.has(attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '')
  const owner = pids.find((pid) => (attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? []).some((fd) => holds(pid, fd)))
  return owner === undefined ? undefined : Number(owner)
}
