import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'

const Assertion = z.object({
  status: z.string(),
  fullName: z.string(),
  ancestorTitles: z.array(z.string()),
  failureMessages: z.array(z.string()),
})
const Report = z.object({
  testResults: z.array(z.object({ name: z.string(), status: z.string(), message: z.string(), assertionResults: z.array(Assertion) })),
})
type Report = z.infer<typeof Report>

const isCi = process.env['CI'] === 'true'

/** Runs vitest over what was asked for, or over everything, and returns its exit code. */
function runVitest(args: readonly string[], reportPath: string): Promise<number> {
  const child = spawn('vitest', ['run', ...args, '--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`], {
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => child.once('error', reject).once('exit', (code) => resolve(code ?? 1)))
}

function readReport(path: string): Report {
  try {
    return Report.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return { testResults: [] }
  }
}

/** The gate in `test/requires.ts` writes the reason in brackets. */
const reasonOf = (titles: readonly string[]) => titles.map((title) => /\[(needs .+)\]$/.exec(title)?.[1]).find(Boolean) ?? 'no reason given'

function summarise({ testResults }: Report, exitCode: number) {
  const tests = testResults.flatMap((file) => file.assertionResults)
  const count = (...statuses: string[]) => tests.filter((t) => statuses.includes(t.status)).length
  const [passed, inTests] = [count('passed'), count('failed')]
  // A file that did not load has no test to show for it, and an error outside any test none at all.
  const inFiles = testResults.filter((f) => f.status === 'failed' && !f.assertionResults.some((t) => t.status === 'failed')).length
  const outside = inTests + inFiles === 0 && (exitCode !== 0 || passed === 0) ? 1 : 0
  return { passed, failed: inTests + inFiles + outside, skipped: tests.length - passed - inTests }
}

function printSkipped({ testResults }: Report): void {
  const skipped = testResults.flatMap((file) => file.assertionResults).filter((t) => t.status !== 'passed' && t.status !== 'failed')
  const reasons = Map.groupBy(skipped, (t) => reasonOf(t.ancestorTitles))
  for (const [reason, tests] of reasons) console.log(`skipped ${tests.length}: ${reason}`)
  if (isCi && skipped.length > 0) console.log('With CI=true nothing may be skipped.')
}

/** What failed at first and then passed may be the machine, or a race that is worth a look. */
function printRetried({ testResults }: Report): void {
  const retried = testResults.flatMap((file) => file.assertionResults).filter((t) => t.status === 'passed' && t.failureMessages.length > 0)
  for (const { fullName } of retried) console.log(`passed at the second try: ${fullName}`)
}

const folder = mkdtempSync(join(tmpdir(), 'parvis-test-'))
const exitCode = await runVitest(process.argv.slice(2), join(folder, 'report.json'))
const report = readReport(join(folder, 'report.json'))
rmSync(folder, { recursive: true })
const { passed, failed, skipped } = summarise(report, exitCode)
printSkipped(report)
printRetried(report)
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed > 0 || (isCi && skipped > 0) ? 1 : 0
