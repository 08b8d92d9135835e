// Plain JavaScript without a dependency: it starts under whatever Node the machine has, before anything is installed,
// and hands over to the Node of the lockfile.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const bin = join(root, 'node_modules/.bin')
const node = join(bin, 'node')
const ASSETS = { script: 'src/dev/assets.ts', output: 'dist/assets', stamp: '.tsbuild/assets.sha256' }
const ASSET_INPUTS = ['src/console', 'src/client', 'src/contract', ASSETS.script, 'package-lock.json']
const WITHOUT_ASSETS = ['src/dev/check.ts', 'src/dev/admin.ts', 'src/relay/main.ts']
const REPEAT_MS = 1000

const fail = (sentence) => {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}

const packagesOf = (path) => {
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8')).packages
  } catch {
    return undefined
  }
}

/** npm writes its own lockfile into node_modules as the last step of a whole install. */
function isInstalled() {
  const locked = packagesOf('package-lock.json')
  const present = packagesOf('node_modules/.package-lock.json')
  if (!locked) fail('package-lock.json is missing or broken; restore it with `git checkout package-lock.json`.')
  if (!present || !existsSync(node)) return false
  return Object.entries(locked).every(
    ([path, { version, optional }]) => path === '' || (present[path] ? present[path].version === version : optional === true),
  )
}

/** npm must run under the machine's Node: an install replaces the one in node_modules under its feet. */
function npmCommand() {
  const { npm_execpath: cli, npm_node_execpath: npmNode } = process.env
  if (!cli?.endsWith('npm-cli.js')) return ['npm']
  return [npmNode && !npmNode.startsWith(bin) && existsSync(npmNode) ? npmNode : 'node', cli]
}

const systemPath = () => (process.env.PATH ?? '').split(delimiter).filter((dir) => !dir.endsWith(join('node_modules', '.bin')))

async function install() {
  process.stderr.write('Installing dependencies…\n')
  const [command, ...first] = npmCommand()
  const args = [...first, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  const { code, output } = await collect(command, args, { ...process.env, PATH: systemPath().join(delimiter) })
  if (code !== 0) fail(`Installing dependencies failed: ${reasonOf(output)}. Run \`npm ci\` to see everything npm has to say.`)
  if (!existsSync(node)) fail('Dependencies are installed without their scripts; run `npm config delete ignore-scripts`, then try again.')
}

const reasonOf = (output) =>
  output
    .split('\n')
    .map((line) => line.replace(/^npm error\s*/, '').trim())
    .find((line) => line && !/^(npm warn|code |errno |syscall |A complete log)/.test(line))
    ?.replace(/\.$/, '') ?? 'npm gave no reason'

function collect(command, args, env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.on('error', (error) => resolve({ code: 1, output: `${command} cannot be started (${error.code})` }))
    child.on('close', (code) => resolve({ code, output }))
  })
}

function filesUnder(path) {
  if (!existsSync(join(root, path))) return []
  if (!statSync(join(root, path)).isDirectory()) return [path]
  return readdirSync(join(root, path))
    .sort()
    .flatMap((name) => filesUnder(`${path}/${name}`))
}

function assetsHash() {
  const hash = createHash('sha256')
  for (const path of ASSET_INPUTS.flatMap(filesUnder)) hash.update(`${path}\0`).update(readFileSync(join(root, path)))
  return hash.digest('hex')
}

async function buildAssets() {
  const hash = assetsHash()
  const stamp = join(root, ASSETS.stamp)
  if (existsSync(join(root, ASSETS.output)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  const { code, output } = await collect(node, [ASSETS.script], childEnv())
  if (code !== 0) fail(`Building the browser assets failed:\n${output.trim()}`)
  mkdirSync(join(root, '.tsbuild'), { recursive: true })
  writeFileSync(stamp, hash)
}

const childEnv = () => ({ ...process.env, PATH: [bin, ...systemPath()].join(delimiter) })

/**
 * The child leads its own process group, because Ctrl-C reaches a whole group and npm sends it once more:
 * so it hears a signal once, and a second Ctrl-C ends all of it.
 */
function run(script, args) {
  const child = spawn(node, [script, ...args], { cwd: root, env: childEnv(), stdio: 'inherit', detached: true })
  let askedAt = 0
  const forward = (signal) => {
    const isRepeat = Date.now() - askedAt < REPEAT_MS
    if (!isRepeat && child.exitCode === null) process.kill(askedAt ? -child.pid : child.pid, askedAt ? 'SIGKILL' : signal)
    if (!isRepeat) askedAt = Date.now()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward)
  child.on('error', (error) => fail(`${node} cannot be started (${error.code}).`))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

const [script, ...args] = process.argv.slice(2)
if (!script || !existsSync(join(root, script))) fail(`There is no ${script ?? 'script'} to run.`)
if (!isInstalled()) await install()
if (!WITHOUT_ASSETS.includes(script) && existsSync(join(root, ASSETS.script))) await buildAssets()
run(script, args)
