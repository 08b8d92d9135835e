import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import { Email } from '../contract/identity.ts'
import { firstAdminSql } from './first-admin.ts'

const USAGE =
  'Say whom: `npm run admin -- ada@example.org`, here or with --remote for the deployed database (--env for another environment).'

function refuse(sentence: string): never {
  console.error(sentence)
  process.exit(1)
}

function askedFor() {
  try {
    const options = { remote: { type: 'boolean', default: false }, env: { type: 'string' } } as const
    const { values, positionals } = parseArgs({ options, allowPositionals: true })
    const [email, ...more] = positionals
    const parsed = Email.safeParse(email)
    return parsed.success && more.length === 0 ? { ...values, email: parsed.data } : refuse(USAGE)
  } catch {
    return refuse(USAGE)
  }
}

/** What the statements answered. wrangler says on its standard output what went wrong, too. */
async function execute(sql: readonly string[], target: readonly string[]): Promise<string> {
  const args = ['d1', 'execute', 'DB', '--json', '--yes', ...target, '--command', sql.join(';\n')]
  const env = { ...process.env, WRANGLER_SEND_METRICS: 'false' }
  try {
    return (await promisify(execFile)('wrangler', args, { env })).stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    return refuse(
      `The database cannot be written to: ${/"text": "([^"]*)"/.exec(stdout)?.[1] ?? (stderr.trim().split('\n')[0] || 'wrangler gave no reason')}`,
    )
  }
}

const { email, remote, env } = askedFor()
const target = [remote ? '--remote' : '--local', ...(env ? ['--env', env] : [])]
const answer = await execute(firstAdminSql(email, Date.now()), target)
if (!answer.includes('"userId"'))
  refuse(`Nothing was changed: no account has the address ${email}, or there is an admin already, who can make others.`)
console.log(`${email} is an admin now. Whoever is signed in there sees it with the next call.`)
