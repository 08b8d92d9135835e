import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRoom } from './room-peer.ts'
import { ROOM_ID, type Service, startService } from './service.ts'

const run = promisify(execFile)
const TSC = resolve('node_modules/typescript/lib/tsc.js')
/** All that the package may need at run time. */
const DEPENDENCIES = ['zod', 'yjs', 'y-protocols', 'lib0']
/** What its other entries plug into. */
const PEERS = ['react', '@types/react', 'y-indexeddb']

/** A project somewhere else that has installed the package: what `files` lists, and nothing but its dependencies. */
function layOut(): string {
  const project = mkdtempSync(join(tmpdir(), 'consumer-'))
  const own = join(project, 'node_modules/parvis')
  mkdirSync(own, { recursive: true })
  const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] }
  cpSync('package.json', join(own, 'package.json'))
  for (const path of files.filter((f) => f.startsWith('dist/'))) cpSync(path, join(own, path), { recursive: true })
  mkdirSync(join(project, 'node_modules/@types'))
  for (const name of [...DEPENDENCIES, ...PEERS]) symlinkSync(resolve('node_modules', name), join(project, 'node_modules', name))
  writeFileSync(join(project, 'package.json'), '{"type":"module","private":true}')
  return project
}

let project: string
let service: Service
beforeAll(async () => {
  await run(process.execPath, [TSC, '-b', 'src/react', 'src/offline'])
  project = layOut()
  service = await startService()
})
afterAll(async () => {
  rmSync(project, { recursive: true, force: true })
  await service.stop()
})

const write = (name: string, text: string): string => {
  const path = join(project, name)
  writeFileSync(path, text)
  return path
}

const CONSUMER = `
import { createClient, isProblem, NetworkError, type Client, type Room, type TokenStore } from 'parvis/client'
import { PASSWORD_CHARS_MIN } from 'parvis/contract/identity'
import { joinOffline } from 'parvis/offline'
import { useMessages, usePresence, useRoom } from 'parvis/react'

const tokens: TokenStore = { read: async () => undefined, write: async (next) => console.log(next?.sessionId) }
const client: Client = createClient({ origin: 'https://parvis.example.org', tokens })

export async function visit(signal: AbortSignal, cursor: string | undefined): Promise<string> {
  try {
    await client.login({ body: { email: 'ada@example.org', password: 'x'.repeat(PASSWORD_CHARS_MIN) } }, { signal })
    const { items, nextCursor } = await client.listRooms({ query: { limit: 10, cursor } })
    const first: 'owner' | 'editor' | 'commenter' | 'viewer' | undefined = items[0]?.role
    const room: Room = await client.rooms.join(items[0]?.id ?? '')
    room.on('status', (status: 'connecting' | 'open' | 'waiting' | 'closed') => console.log(status))
    await room.saved()
    const shell = client.shells.attach('shl_x', { output: async (bytes) => console.log(bytes.byteLength) })
    const { exitCode } = await shell.finished()
    const nothing: undefined = await client.closeShell({ params: { shellId: 'shl_x' } })
    return [first, nextCursor, exitCode, nothing, (await client.getMe({}, { signal })).email].join()
  } catch (error) {
    if (isProblem(error) && error.slug === 'rate-limited') return String(error.extras.retryAfterSeconds)
    if (error instanceof NetworkError) return error.traceId ?? ''
    throw error
  }
}
client.on('signedOut', ({ cause }) => console.log(cause))

export async function converse(): Promise<void> {
  const room = await joinOffline(client, 'rm_x', { streams: ['document', 'messages'], history: 10 })
  const { seq } = await room.messages.post('hello', { replyTo: 1 })
  room.on('messages', ({ items }) => console.log(items.find((message) => message.seq === seq)?.reactions[0]?.emoji))
  room.presence.show({ cursor: 4 })
  await room.forget()
}

export function useTalk(): number {
  const { room, status } = useRoom(client, 'rm_x', { incognito: true })
  const { items } = useMessages(room)
  return status === 'open' ? items.length + usePresence(room).count : 0
}
`

/** Each of these lines is a mistake that the compiler must see. */
const MISTAKES = [
  "client.createRoom({ body: { nme: 'x' } })",
  'client.createRoom({})',
  'client.createRoom()',
  'client.getRoom({ params: { id: 1 } })',
  'client.getMe({ signal: new AbortController().signal })',
  "client.listRooms({ query: { limit: 'ten' } })",
  "client.login({ body: { email: 'a@example.org' } })",
  "client.refresh({ body: { refreshToken: 'stolen' } })",
  'client.noSuchOperation()',
  "client.on('signedOff', () => undefined)",
  "client.shells.attach('shl_x', {})",
  "client.rooms.join('rm_x', { streams: ['video'] })",
]

const SETTINGS = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  noEmit: true,
  target: 'ES2022',
}

const check = async (name: string, options: object) => {
  const config = write(`tsconfig.${name}.json`, JSON.stringify({ compilerOptions: { ...SETTINGS, ...options }, files: [`${name}.ts`] }))
  return run(process.execPath, [TSC, '-p', config], { cwd: project }).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  )
}

const PLATFORMS = {
  'a browser bundler': { module: 'ESNext', moduleResolution: 'Bundler', lib: ['ES2022', 'DOM'], types: [] },
  Node: { module: 'NodeNext', moduleResolution: 'NodeNext', lib: ['ES2022'], types: ['node'], typeRoots: [resolve('node_modules/@types')] },
}

describe.each(Object.entries(PLATFORMS))('a strict project for %s', (_, options) => {
  test('type-checks against the package', async () => {
    write('consumer.ts', CONSUMER)
    expect(await check('consumer', { ...options, skipLibCheck: true })).toBe('')
  })

  test('is told of every mistake', async () => {
    const lines = [
      "import { createClient } from 'parvis/client'",
      "const client = createClient({ origin: 'https://x.example' })",
      ...MISTAKES,
    ]
    write('mistakes.ts', `${lines.join('\n')}\nexport {}`)
    const told = await check('mistakes', { ...options, skipLibCheck: true })
    const seen = new Set([...told.matchAll(/mistakes\.ts\((\d+),/g)].map(([, line]) => lines[Number(line) - 1]))
    expect(MISTAKES.filter((line) => !seen.has(line))).toEqual([])
  })
})

test('plain Node imports it, calls the service and needs nothing beyond its dependencies', async () => {
  const script = write(
    'main.mjs',
    `import { createClient, isProblem } from 'parvis/client'
     const client = createClient({ origin: process.argv[2] })
     await client.login({ body: { email: 'ada@example.org', password: 'correct horse battery staple' } })
     const me = await client.getMe()
     await client.logout()
     const after = await client.getMe().catch((error) => isProblem(error) && error.slug)
     console.log(me.email, after)`,
  )
  const { stdout, stderr } = await run(process.execPath, [script, service.origin], { cwd: project })
  expect(stdout).toBe('ada@example.org unauthenticated\n')
  expect(stderr).toBe('')
})

test('importing it does nothing', async () => {
  const script = write(
    'quiet.mjs',
    `const before = new Set(Object.getOwnPropertyNames(globalThis))
     await import('parvis/client')
     // Zod keeps its settings there.
     const added = Object.getOwnPropertyNames(globalThis).filter((name) => !before.has(name) && !name.startsWith('__zod_'))
     console.log(added.length, process.getActiveResourcesInfo().filter((r) => /Timeout|TCP/.test(r)).length)`,
  )
  expect((await run(process.execPath, [script], { cwd: project })).stdout).toBe('0 0\n')
})

const WORKER = `
import { createClient } from 'parvis/client'
export default {
  async fetch(request) {
    const client = createClient({ origin: new URL(request.url).searchParams.get('origin') })
    await client.login({ body: { email: 'ada@example.org', password: 'correct horse battery staple' } })
    const room = await client.rooms.join('${ROOM_ID}')
    room.doc.getText('text').insert(0, 'from a Worker')
    await room.saved()
    client.close()
    const inProcess = createClient({ origin: 'https://in.process', mode: 'cookie', fetch: () => Response.json({ status: 'live' }) })
    return Response.json(await inProcess.getLive())
  },
}`

/** Runs a module in workerd, with the network open to loopback, and answers where it listens. */
async function startWorkerd(module: string) {
  const config = write(
    'workerd.capnp',
    `using Workerd = import "/workerd/workerd.capnp";
     const config :Workerd.Config = (
       services = [
         (name = "main", worker = (
           globalOutbound = "net", compatibilityDate = "2026-11-01", modules = [(name = "main", esModule = embed "${module}")])),
         (name = "net", network = (allow = ["private", "local"])),
       ],
       sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
     );`,
  )
  const child = spawn(resolve('node_modules/.bin/workerd'), ['serve', config, '--control-fd=3'], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  })
  const port = await new Promise<number>((resolvePort, reject) => {
    child.once('exit', (code) => reject(new Error(`workerd ended with ${code}`)))
    ;(child.stdio[3] as Readable).once('data', (line: Buffer) => resolvePort((JSON.parse(line.toString()) as { port: number }).port))
  })
  return { origin: `http://127.0.0.1:${port}`, stop: () => child.kill() }
}

test('a Worker calls the service and joins a room with it', async () => {
  const peer = startRoom(service)
  const entry = write('worker.js', WORKER)
  await build({ entryPoints: [entry], bundle: true, format: 'esm', outfile: join(project, 'worker.out.js') })
  const workerd = await startWorkerd('worker.out.js')
  const answer = await fetch(`${workerd.origin}/?origin=${service.origin}`)
  expect(await answer.json()).toEqual({ status: 'live' })
  expect(peer.doc.getText('text').toString()).toBe('from a Worker')
  workerd.stop()
  peer.stop()
})

test('a bundle keeps Yjs apart until a room is joined', async () => {
  const entry = write('entry.js', "import { createClient } from 'parvis/client'; createClient({ origin: location.origin }).rooms.join('x')")
  const { metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    outdir: join(project, 'out'),
    write: false,
    metafile: true,
  })
  const [main] = Object.values(metafile.outputs).filter((o) => o.entryPoint?.endsWith('entry.js'))
  const carried = Object.keys(main?.inputs ?? {}).map((path) => /node_modules\/([^/]+)/.exec(path.replace(/.*parvis\/dist/, 'own'))?.[1])
  expect(carried).toContain(undefined)
  expect(carried.filter((name) => name === 'yjs' || name === 'y-protocols')).toEqual([])
})
