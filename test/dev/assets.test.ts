import { spawn } from 'node:child_process'
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

let folder: string

const SOURCES = {
  'src/console/islands/room.ts': "import '../shared.css'\nimport { greet } from '../browser/greet.ts'\ngreet('room')\n",
  'src/console/islands/shell.tsx':
    "/** @jsxImportSource hono/jsx/dom */\nimport '@xterm/xterm/css/xterm.css'\nimport { Terminal } from '@xterm/xterm'\nimport { greet } from '../browser/greet.ts'\ngreet(String(new Terminal().cols))\nexport const view = <p>shell</p>\n",
  'src/console/browser/greet.ts': 'export const greet = (name: string): void => { document.title = name }\n',
  'src/console/console.css': '.console { color: #111111 }\n',
  'src/console/shared.css': '.shared { color: #222222 }\n',
  'src/console/icon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>\n',
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'assets-'))
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  mkdirSync(join(folder, 'src/dev'), { recursive: true })
  cpSync('src/dev/assets.ts', join(folder, 'src/dev/assets.ts'))
  cpSync('package.json', join(folder, 'package.json'))
  for (const [path, text] of Object.entries(SOURCES)) put(path, text)
})
afterAll(() => rmSync(folder, { recursive: true }))

function put(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

function build(): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, ['src/dev/assets.ts'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((done) => child.once('close', (code) => done({ code, output })))
}

const built = () =>
  globSync('**/*.*', { cwd: join(folder, 'dist/assets') })
    .filter((path) => !/chunk-/i.test(path))
    .toSorted()
const read = (path: string) => readFileSync(join(folder, 'dist/assets', path), 'utf8')
const changes = () => Object.fromEntries(built().map((path) => [path, statSync(join(folder, 'dist/assets', path)).mtimeMs]))

test('every island is a module, what they share is loaded once, and all style is one sheet', async () => {
  expect(await build()).toEqual({ code: 0, output: '' })
  expect(built()).toEqual(['console.css', 'console/room.js', 'console/shell.js', 'docs.js', 'icon.svg', 'reference.js'])
  const shared = globSync('console/chunk-*.js', { cwd: join(folder, 'dist/assets') })
  expect(shared).toHaveLength(1)
  for (const name of ['room', 'shell']) {
    const island = read(`console/${name}.js`)
    expect(island).toContain(shared[0]?.replace('console/', './'))
    expect(island).not.toContain('document.title')
  }
  const sheet = read('console.css')
  for (const part of ['.console{', '.shared{', '.xterm']) expect(sheet.split(part).length, part).toBeGreaterThan(1)
  expect(sheet.split('.shared{')).toHaveLength(2)
  expect(read('docs.js')).toMatch(/^Scalar\.createApiReference\('#reference', \{"url":"\/v1\/openapi\.json"/)
})

test('a second build changes nothing, takes little, and removes what has no source any more', async () => {
  put('src/console/islands/gone.ts', 'export {}\n')
  await build()
  expect(built()).toContain('console/gone.js')
  rmSync(join(folder, 'src/console/islands/gone.ts'))
  await build()
  expect(built()).not.toContain('console/gone.js')
  const before = changes()
  expect(await build()).toEqual({ code: 0, output: '' })
  expect(changes()).toEqual(before)
})

test('a build that fails names file and line, and leaves the last one as it was', async () => {
  await build()
  const before = changes()
  put('src/console/islands/broken.ts', "import './nowhere.ts'\n")
  onTestFinished(() => rmSync(join(folder, 'src/console/islands/broken.ts')))
  const { code, output } = await build()
  expect(code).toBe(1)
  expect(output).toBe('Build failed with 1 error:\nsrc/console/islands/broken.ts:1:7: ERROR: Could not resolve "./nowhere.ts"\n')
  expect(changes()).toEqual(before)
})
