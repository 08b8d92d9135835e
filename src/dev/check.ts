import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

const OPENAPI = 'test/golden/openapi.json'
const isCi = process.env['CI'] === 'true'

interface Step {
  readonly command: readonly [string, ...string[]]
  /** What the tool says when it looked and found nothing; an exit code alone would also be 0 for a tool that did nothing. */
  readonly proof: RegExp
}

/** Each tool says one thing the others cannot. */
const STEPS: Record<string, Step> = {
  types: { command: ['tsc', '-b'], proof: /^$/ },
  style: {
    command: ['biome', isCi ? 'ci' : 'check', '--error-on-warnings', '--colors=off', '.'],
    proof: /Checked [1-9]\d* files? in [^.]+\. No fixes applied\.$/,
  },
  imports: { command: ['depcruise', 'src', 'test'], proof: /no dependency violations found \([1-9]\d* modules/ },
  tidy: { command: ['vitest', 'run', '--project=node', '--no-color', 'test/tidy.test.ts'], proof: /Tests {2}[1-9]\d* passed \(\d+\)/ },
  ...(existsSync(OPENAPI) && {
    openapi: {
      // A socket answers 101, which the skipped rule does not know. The tool exits with 0 when it only warns.
      command: ['redocly', 'lint', OPENAPI, '--skip-rule=operation-2xx-response'],
      proof: /^(?![\s\S]*\d warnings?)[\s\S]*Your API description is valid/,
    },
  }),
}
/** Redocly reports to its maker and looks for news unless told not to. */
const QUIET = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }

function run({ command: [program, ...args], proof }: Step): Promise<{ isGreen: boolean; output: string }> {
  const child = spawn(program, args, { env: { ...process.env, ...QUIET }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ isGreen: false, output: `${program} cannot be started: ${error.message}` }))
    child.once('close', (code) => resolve({ isGreen: code === 0 && proof.test(output.trim()), output }))
  })
}

async function report([name, step]: [string, Step]): Promise<boolean> {
  const startedAt = Date.now()
  const { isGreen, output } = await run(step)
  console.log(`${isGreen ? '✓' : '✗'} ${name.padEnd(8)} ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
  if (!isGreen) console.log(output.trim())
  return isGreen
}

const results = await Promise.all(Object.entries(STEPS).map(report))
process.exitCode = results.every(Boolean) ? 0 : 1
