import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Part } from './child.ts'
import { Complaint } from './complaint.ts'
import { startDemoHost } from './demo-host.ts'
import { prepareDevVars } from './dev-vars.ts'
import { startEdge, startMigration } from './edge.ts'
import { startSweeps, untilReady } from './health.ts'
import { takeLock } from './lock.ts'
import { startMailCatcher } from './mail-catcher.ts'
import { mustBeNode } from './node-version.ts'
import { mustBeFree, readPorts } from './ports.ts'
import { commandOf } from './processes.ts'
import { startLocalRelay } from './relay.ts'
import { prepareSecrets } from './secrets.ts'
import { startWarden, type Warden } from './warden.ts'
import { welcome } from './welcome.ts'
import type { WorkerError } from './wrangler-log.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const FOLDER = join(ROOT, '.parvis')
const LOGS = join(FOLDER, 'logs')
const PARENT_POLL_MS = 1_000

/** What to undo, the last first. */
const undo: (() => unknown)[] = []
const ending = new AbortController()

/** Undoes everything that was done and leaves. The first reason is the one that is told. */
async function end(exitCode: number, sentence: string): Promise<void> {
  if (ending.signal.aborted) return
  ending.abort()
  const say = exitCode === 0 ? console.log : console.error
  say(sentence)
  for (const step of undo.toReversed()) {
    try {
      await step()
    } catch {
      // The rest must be undone all the same.
    }
  }
  process.exit(exitCode)
}

/** Waits, and goes no further when everything has been told to stop meanwhile: what starts now nobody would undo. */
async function still<T>(work: Promise<T>): Promise<T> {
  const result = await work
  ending.signal.throwIfAborted()
  return result
}

/** Waits for a part that has its own end. */
async function finish(part: Part): Promise<void> {
  undo.push(() => part.stop())
  await part.ready
}

/** Waits for a part to be ready. If it ends before it is asked to, it takes the others with it. */
async function keep(part: Part): Promise<void> {
  await finish(part)
  void part.ended.then((how) => end(1, `${part.name} ended unexpectedly (${how}), so everything stops; what it said is in .parvis/logs.`))
}

/** What goes wrong while everything runs. */
function tell(name: string, text: string): void {
  if (!ending.signal.aborted) console.error(`${name}: ${text}`)
}

/** Everything a stack writes is under .parvis and .wrangler, and for its owner only. */
function prepareFolder(): void {
  mkdirSync(LOGS, { recursive: true, mode: 0o700 })
  writeFileSync(join(FOLDER, '.gitignore'), '*\n')
  undo.push(takeLock(join(FOLDER, 'pid')))
}

function keepWarden(): Warden {
  const warden = startWarden()
  undo.push(() => {
    warden.close()
    return warden.gone
  })
  void warden.gone.then(() => end(1, 'The process that guards against leftovers is gone, so everything stops.'))
  return warden
}

async function start(): Promise<void> {
  mustBeNode(process.versions.node)
  const ports = readPorts(process.env)
  prepareFolder()
  await still(mustBeFree(ports))
  const secrets = prepareSecrets(FOLDER)
  const { vars, addresses } = prepareDevVars({ path: join(ROOT, '.dev.vars'), ports, secrets })
  console.log('Starting Parvis…')
  const context = { root: ROOT, logs: LOGS, warden: keepWarden() }
  const mail = await still(startMailCatcher({ port: ports.MAIL_CATCHER_PORT, file: join(FOLDER, 'mail.jsonl') }))
  undo.push(() => mail.close())
  const demoHost = await still(startDemoHost({ port: ports.DEMO_HOST_PORT, password: secrets.demoPassword, hostKey: secrets.demoHostKey }))
  undo.push(() => demoHost.close())
  const migration = startMigration(context)
  const relay = startLocalRelay({ ...context, ports, secrets, vars, onError: (text) => tell('relay', text) })
  await still(Promise.all([migration && finish(migration), keep(relay)]))
  let isUp = false
  const onError = ({ text, isFatal }: WorkerError) =>
    isUp || !isFatal ? tell('worker', text) : void end(1, `The Worker does not start: ${text}.`)
  await still(keep(startEdge(context, { port: ports.PORT, addresses, onError })))
  const origin = `http://127.0.0.1:${ports.PORT}`
  const degraded = await still(untilReady(origin, ending.signal))
  isUp = true
  undo.push(startSweeps(origin))
  const publicOrigin = addresses['PUBLIC_ORIGIN'] ?? vars['PUBLIC_ORIGIN'] ?? origin
  console.log(welcome({ ports, publicOrigin, demoHost, demoPassword: secrets.demoPassword, degraded, seconds: performance.now() / 1000 }))
}

/** A second signal leaves at once; the warden ends what is still there. */
function listenToSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => (ending.signal.aborted ? process.exit(130) : void end(0, 'Stopping…')))
  }
}

/** A parent that is killed cannot pass the signal on. Somebody's own shell may well go before its children. */
function watchParent(): void {
  const parent = process.ppid
  if (!commandOf(parent)?.includes('run.mjs')) return
  setInterval(
    () => process.ppid === parent || end(1, 'The process that started Parvis is gone, so everything stops.'),
    PARENT_POLL_MS,
  ).unref()
}

process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)
listenToSignals()
watchParent()
start().catch((error: unknown) =>
  end(1, error instanceof Complaint ? error.message : `Starting failed: ${error instanceof Error ? error.stack : String(error)}`),
)
