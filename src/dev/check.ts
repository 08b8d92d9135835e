import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

const OPENAPI = 'test/golden/openapi.json'
/** A socket answers 101, which that rule does not know. */
const NO_2XX = ['--skip-rule=operation-2xx-response']
const isCi = process.env['CI'] === 'true'

/** Each tool says one thing the others cannot; all of them must be silent. */
const STEPS: Record<string, readonly string[]> = {
  types: ['tsc', '-b'],
  style: ['biome', isCi ? 'ci' : 'check', '--error-on-warnings', '--colors=off', '.'],
  imports: ['depcruise', 'src', 'test'],
  tidy: ['vitest', 'run', '--project=node', 'test/tidy.test.ts'],
  ...(existsSync(OPENAPI) && { openapi: ['redocly', 'lint', OPENAPI, '--format=codeframe', ...NO_2XX] }),
}
/** Redocly reports to its maker and looks for news unless told not to. */
const QUIET = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }

interface Outcome {
  readonly isGreen: boolean
  readonly output: string
}

function run([command = '', ...args]: readonly string[]): Promise<Outcome> {
  const child = spawn(command, args, { env: { ...process.env, ...QUIET }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const collect = (chunk: Buffer) => {
    output += chunk.toString()
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ isGreen: false, output: `${command} cannot be started: ${error.message}` }))
    child.once('close', (code) => resolve({ isGreen: code === 0 && !hasWarning(command, output), output }))
  })
}

/** Redocly exits with 0 when it only warns. */
const hasWarning = (command: string, output: string) => command === 'redocly' && /\b\d+ warnings?\b/.test(output)

async function report(name: string, step: readonly string[]): Promise<boolean> {
  const startedAt = Date.now()
  const { isGreen, output } = await run(step)
  console.log(`${isGreen ? '✓' : '✗'} ${name.padEnd(8)} ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
  if (!isGreen) console.log(output.trim())
  return isGreen
}

const results = await Promise.all(Object.entries(STEPS).map(([name, step]) => report(name, step)))
process.exitCode = results.every(Boolean) ? 0 : 1
