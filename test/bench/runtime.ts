import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'

const NODE_MODULES = new URL('../../node_modules/', import.meta.url).pathname

const requireBesideWrangler = createRequire(createRequire(import.meta.url).resolve('wrangler/package.json'))

/** The miniflare that wrangler itself bundles: npm's latest speaks to another runtime. */
const { Miniflare, convertV4MiniflareOptions } = requireBesideWrangler('miniflare') as {
  readonly Miniflare: new (options: unknown) => BareRuntime
  readonly convertV4MiniflareOptions: (options: unknown) => unknown
}

/** What the benchmarks use of a running Miniflare. */
export interface BareRuntime {
  readonly ready: Promise<URL>
  getD1Database(binding: string, worker: string): Promise<D1Database>
  dispose(): Promise<void>
}

/** One Worker to run. */
export interface BareWorker {
  readonly name: string
  readonly entry: string
  /** A wrangler configuration to build with, or nothing for a plain Worker. */
  readonly config?: string
  readonly bindings: Record<string, unknown>
  readonly options: Record<string, unknown>
}

/** A port nobody listens on now. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

/** Bundles a Worker exactly as a deployment would; one that starts again is what it was. */
function build(
  { entry, config }: BareWorker,
  outDir: string,
): { readonly type: string; readonly path: string; readonly contents: string | Buffer }[] {
  const target = config
    ? ['--config', config]
    : [entry, '--name', 'bare', '--compatibility-date', '2026-11-01', '--config', join('test', 'bench', 'bare.toml')]
  const env = { ...process.env, WRANGLER_SEND_METRICS: 'false' }
  if (!existsSync(outDir))
    execFileSync(join(NODE_MODULES, '.bin', 'wrangler'), ['deploy', '--dry-run', '--outdir', outDir, ...target], { stdio: 'pipe', env })
  const files = readdirSync(outDir).filter((f) => f.endsWith('.js') || f.endsWith('.wasm'))
  return files
    .sort((a) => (a.endsWith('.js') ? -1 : 1))
    .map((f) => ({
      type: f.endsWith('.js') ? 'ESModule' : 'CompiledWasm',
      path: join('/', basename(f)),
      contents: f.endsWith('.js') ? readFileSync(join(outDir, f), 'utf8') : readFileSync(join(outDir, f)),
    }))
}

/** Starts Workers on the bare runtime, each behind its own direct socket: no dev proxy, and an inspector only where it is asked for. */
export async function startBare(workers: readonly BareWorker[], dir: string, { inspectorPort }: { readonly inspectorPort?: number } = {}) {
  silenceRuntime(dir, inspectorPort === undefined ? '' : `--inspector-addr=127.0.0.1:${inspectorPort}`)
  const ports = await Promise.all(workers.map(freePort))
  const options = workers.map((worker, i) => ({
    name: worker.name,
    modulesRoot: '/',
    modules: build(worker, join(dir, worker.name)),
    compatibilityDate: '2026-11-01',
    bindings: worker.bindings,
    unsafeDirectSockets: [{ host: '127.0.0.1', port: ports[i] }],
    ...worker.options,
  }))
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      workers: options,
      resourcePersistencePath: join(dir, 'data'),
    }),
  )
  await runtime.ready
  const urls = Object.fromEntries(workers.map((w, i) => [w.name, `http://127.0.0.1:${ports[i]}`]))
  const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'))
  return { runtime, urls, pid }
}

/**
 * The log line per request is part of what is measured, Miniflare reading it back is not: on two cores its parsing
 * takes from the runtime. So the runtime writes to where nobody reads, as it does behind a log collector.
 */
function silenceRuntime(dir: string, more: string): void {
  const workerd = (requireBesideWrangler('workerd') as { readonly default: string }).default
  const script = join(dir, 'workerd')
  writeFileSync(
    script,
    `#!/bin/sh\necho $$ >'${join(dir, 'pid')}'\nexec '${workerd}' "$@" ${more} >${process.env['BENCH_LOG'] ?? '/dev/null'}\n`,
    {
      mode: 0o755,
    },
  )
  process.env['MINIFLARE_WORKERD_PATH'] = script
}
