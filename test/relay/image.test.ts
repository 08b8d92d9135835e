import { spawn } from 'node:child_process'
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, test } from 'vitest'
import { parseConfig } from '../../src/relay/config.ts'
import { writeRelayKeys } from '../../src/relay/keys.ts'
import { relayEnv } from './harness.ts'

const dockerfile = readFileSync('src/relay/Dockerfile', 'utf8')
const compose = readFileSync('src/relay/compose.yaml', 'utf8')
const ignore = readFileSync('src/relay/Dockerfile.dockerignore', 'utf8')
const temporary = mkdtempSync(join(tmpdir(), 'parvis-image-'))
afterAll(() => rmSync(temporary, { recursive: true, force: true }))

/** Packages that these files import, and those that they need. */
function packagesOf(files: readonly string[]): string[] {
  const named = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type ).*from '([^'.][^']*)'/gm)].map(([, name]) => name ?? ''),
  )
  const found = new Set<string>()
  const visit = (name: string): void => {
    if (isBuiltin(name) || found.has(name)) return
    found.add(name)
    const { dependencies = {} } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as {
      dependencies?: Record<string, string>
    }
    for (const dependency of Object.keys(dependencies)) visit(dependency)
  }
  for (const name of named) visit(name)
  return [...found].toSorted()
}

/** Source files that the relay loads. */
function sourcesOf(entry: string, seen = new Set<string>()): Set<string> {
  if (seen.has(entry)) return seen
  seen.add(entry)
  for (const [, path = ''] of readFileSync(entry, 'utf8').matchAll(/(?:from|new URL\()\s*'(\.[^']+)'/g))
    sourcesOf(join(dirname(entry), path), seen)
  return seen
}

describe('the image of the relay', () => {
  const copied = [...dockerfile.matchAll(/^COPY --from=packages \/app\/node_modules\/(\S+) node_modules\/\1$/gm)].map(
    ([, name]) => name ?? '',
  )
  const sources = [...dockerfile.matchAll(/^COPY (?!--from)(.+) (\S+)$/gm)].flatMap(([, from = '']) => from.split(' '))

  test('holds exactly the packages that the relay imports', () => {
    expect(copied.toSorted()).toEqual(packagesOf([...sourcesOf('src/relay/main.ts')]))
  })

  test('is built from files that exist and that its context lets in', () => {
    for (const path of sources) {
      expect([path, statSync(path).isFile() || statSync(path).isDirectory()]).toEqual([path, true])
      expect(ignore.split('\n')).toContain(`!${path}`)
    }
    expect([...sourcesOf('src/relay/main.ts')].filter((path) => !/^src\/(relay|contract)\//.test(path))).toEqual([])
  })

  test('leaves secrets out, of the image and of version control', () => {
    const folder = /^\s+file: \.\/(\w+)\//m.exec(compose)?.[1]
    expect(ignore.trimEnd().split('\n').at(-1)).toBe(`src/relay/${folder}`)
    expect(readFileSync('src/relay/.gitignore', 'utf8')).toBe(`${folder}/\n`)
  })

  test('runs as nobody special, from a directory that holds what it copies', async () => {
    expect(dockerfile).toMatch(/^USER node$/m)
    for (const path of [...copied.map((name) => `node_modules/${name}`), 'package.json', 'src/contract', 'src/relay']) {
      mkdirSync(dirname(join(temporary, 'app', path)), { recursive: true })
      cpSync(path, join(temporary, 'app', path), { recursive: true, filter: (from) => !from.endsWith('.node') })
    }
    const { env } = relayEnv([22])
    const child = spawn(process.execPath, ['src/relay/main.ts'], { cwd: join(temporary, 'app'), env, stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    const { healthPort } = JSON.parse(
      await new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve)),
    ) as { healthPort: number }
    const check = /CMD \["node", "-e", "(.+)"\]/.exec(dockerfile)?.[1] ?? ''
    const probe = spawn(process.execPath, ['-e', check], { env: { RELAY_HEALTH_PORT: String(healthPort) }, stdio: 'inherit' })
    expect(await new Promise((resolve) => probe.once('exit', resolve))).toBe(0)
    child.kill('SIGTERM')
    expect(await exited).toBe(0)
    const dead = spawn(process.execPath, ['-e', check], { env: { RELAY_HEALTH_PORT: String(healthPort) }, stdio: 'inherit' })
    expect(await new Promise((resolve) => dead.once('exit', resolve))).toBe(1)
  })

  test('every variable of the image and of the compose file is one the relay knows', () => {
    const known = readFileSync('src/relay/config.ts', 'utf8')
    const names = [...`${dockerfile}\n${compose}`.matchAll(/\bRELAY_[A-Z_]+\b/g)].map(([name]) => name.replace(/_FILE$/, ''))
    expect(names.filter((name) => !known.includes(name))).toEqual([])
  })

  test('keys are written once, for their owner alone, and fit the configuration', () => {
    const directory = join(temporary, 'secrets')
    const pinned = writeRelayKeys(directory)
    const { env } = relayEnv([22])
    const files = {
      RELAY_SIGNING_KEY: undefined,
      RELAY_SEALING_KEY: undefined,
      RELAY_SIGNING_KEY_FILE: join(directory, 'signing-key.json'),
      RELAY_SEALING_KEY_FILE: join(directory, 'sealing-key.json'),
    }
    expect(parseConfig({ ...env, ...files }).signing.kid).toBe(pinned.kid)
    expect(Object.keys(pinned).toSorted()).toEqual(['crv', 'kid', 'kty', 'x'])
    expect(globSync(join(directory, '*')).map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600])
    expect(() => writeRelayKeys(directory)).toThrow('EEXIST')
  })
})
