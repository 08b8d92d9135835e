import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { onTestFinished } from 'vitest'
import { commandOf } from '../../src/dev/processes.ts'

/** What a clone holds; the rest a start makes. */
const CLONE = ['src', 'migrations', 'package.json', 'package-lock.json', 'wrangler.toml', 'tsconfig.json', 'tsconfig.base.json']
const NAMES = ['PORT', 'MAIL_CATCHER_PORT', 'RELAY_PORT', 'RELAY_HEALTH_PORT', 'DEMO_HOST_PORT'] as const

/** A port of its own for every part. */
export type StackPorts = Readonly<Record<(typeof NAMES)[number], number>>

/** Ports that nobody had a moment ago. */
export async function freePorts(): Promise<StackPorts> {
  const servers = NAMES.map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return Object.fromEntries(NAMES.map((name, i) => [name, ports[i]])) as StackPorts
}

/** A clone of this checkout in a folder of its own, with what `npm ci` would install. */
export function makeClone({ without = [] }: { readonly without?: readonly string[] } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'parvis-clone-'))
  for (const path of CLONE) cpSync(path, join(folder, path), { recursive: true })
  if (without.length === 0) symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  else linkModules(folder, without)
  return folder
}

function linkModules(folder: string, without: readonly string[]): void {
  mkdirSync(join(folder, 'node_modules'))
  for (const name of readdirSync('node_modules').filter((n) => !without.includes(n))) {
    symlinkSync(resolve('node_modules', name), join(folder, 'node_modules', name))
  }
}

/** A start as somebody would see it. */
export interface Run {
  readonly child: ChildProcess
  /** Everything it has said so far. */
  output(): string
  /** Resolves when it said where everything is, with that text. */
  readonly ready: Promise<string>
  /** Resolves with the exit code or the signal. */
  readonly ended: Promise<number | string>
}

/** Runs what `npm start` runs, in `folder`, away from the home of whoever tests. */
export function startStack(folder: string, ports: Partial<StackPorts>, more: Readonly<Record<string, string>> = {}): Run {
  const env = {
    PATH: process.env['PATH'],
    HOME: join(folder, 'home'),
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    ...more,
  }
  const child = spawn('node', ['src/dev/run.mjs', 'src/dev/start.ts'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const { promise: ready, resolve: isReady, reject } = Promise.withResolvers<string>()
  let output = ''
  const read = (chunk: Buffer) => {
    output += chunk.toString()
    if (/Ctrl-C stops everything/.test(output)) isReady(output)
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  const ended = new Promise<number | string>((done) => child.once('close', (code, signal) => done(signal ?? code ?? 0)))
  void ended.then((how) => reject(new Error(`It ended with ${how}:\n${output}`)))
  ready.catch(() => undefined)
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
  })
  return { child, output: () => output, ready, ended }
}

/** Everybody who descends from a process, itself included. */
export function familyOf(pid: number): readonly number[] {
  const parents = new Map(readParents())
  const isOurs = (one: number): boolean => one === pid || (parents.has(one) && isOurs(parents.get(one)!))
  return [...parents.keys()].filter(isOurs)
}

function readParents(): [number, number][] {
  if (process.platform !== 'linux') {
    const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
    return rows.map((row) => row.trim().split(/\s+/).map(Number) as [number, number])
  }
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    try {
      // proc(5): the name in parentheses may hold anything, so the fields are counted from its end.
      return [[Number(pid), Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])] as [number, number]]
    } catch {
      return []
    }
  })
}

/** Those that still run after `withinMs`, by command: there is no event for the end of somebody else's child. */
export async function survivorsOf(pids: readonly number[], withinMs: number): Promise<readonly string[]> {
  const deadlineAt = performance.now() + withinMs
  const running = () => pids.flatMap((pid) => commandOf(pid) ?? [])
  while (running().length > 0 && performance.now() < deadlineAt) await new Promise((done) => setTimeout(done, 50))
  return running()
}

/** Removes a clone when its tests are over. */
export const removeClone = (folder: string): void => rmSync(folder, { recursive: true, force: true })
