import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startPart } from '../../src/dev/child.ts'
import { takeLock } from '../../src/dev/lock.ts'
import { mustBeNode } from '../../src/dev/node-version.ts'
import { commandOf, findListener } from '../../src/dev/processes.ts'
import { startWarden, type Warden } from '../../src/dev/warden.ts'
import { survivorsOf } from './stack.ts'

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'processes-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Runs until it is ended, and so does the child that it starts; it prints both numbers. */
const STUBBORN = `
  process.on('SIGTERM', () => {})
  const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  console.log([process.pid, child.pid].join(' '))
  setInterval(() => {}, 1000)
`

function start(folder: string, warden: Warden, script: string) {
  let said = ''
  const part = startPart({
    name: 'The part',
    failure: 'The part does not start',
    cwd: folder,
    args: ['-e', script],
    env: { PATH: process.env['PATH'] },
    logPath: join(folder, 'part.log'),
    warden,
    reader:
      ({ ready }) =>
      (line) => {
        said = line
        ready()
      },
  })
  return { part, numbers: () => said.split(' ').map(Number) }
}

function makeWarden(): Warden {
  const warden = startWarden()
  onTestFinished(async () => {
    warden.close()
    await warden.gone
  })
  return warden
}

test('whoever listens on a port is found by name', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  expect(findListener(port)).toEqual({ pid: process.pid, name: 'node' })
  await once(server.close(), 'close')
  expect(findListener(port)).toBeUndefined()
})

test('a process that has ended has no command', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await once(child, 'spawn')
  expect(commandOf(child.pid!)).toContain('setInterval')
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(commandOf(child.pid!)).toBeUndefined()
})

test('a lock that a crash or another program left is taken over', () => {
  const path = join(makeFolder(), 'pid')
  for (const stale of ['4194305', String(process.pid), '']) {
    writeFileSync(path, stale)
    const release = takeLock(path)
    release()
  }
  const release = takeLock(path)
  release()
})

test('what a part started ends with it, even when it does not listen', async () => {
  const { part, numbers } = start(makeFolder(), makeWarden(), STUBBORN)
  await part.ready
  process.kill(numbers()[0]!, 'SIGKILL')
  expect(await part.ended).toBe('SIGKILL')
  expect(await survivorsOf(numbers(), 2_000)).toEqual([])
  await part.stop()
})

test('a part that never gets ready says its last words', async () => {
  const { part } = start(makeFolder(), makeWarden(), 'process.exit(3)')
  await expect(part.ready).rejects.toThrow('The part does not start: it ended with 3.')
})

test('the warden ends what is left when its guardian is gone, and nothing that had ended before', async () => {
  const folder = makeFolder()
  const warden = startWarden()
  const { part, numbers } = start(folder, warden, STUBBORN)
  const other = start(folder, warden, 'console.log(process.pid)')
  await Promise.all([part.ready, other.part.ended])
  warden.close()
  await warden.gone
  expect(await part.ended).toBe('SIGKILL')
  expect(await survivorsOf(numbers(), 0)).toEqual([])
})

test('an older Node is refused in one sentence', () => {
  expect(() => mustBeNode('22.18.0')).toThrow('Parvis needs Node 24 and this is 22.18.0: run `npm start`, which brings its own.')
  expect(() => mustBeNode(process.versions.node)).not.toThrow()
})
