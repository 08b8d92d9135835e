import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Unstable_Config, unstable_readConfig } from 'wrangler'

/** The id that stands in wrangler.toml until somebody's own database does. */
const NO_DATABASE = /^0{8}-/

function refuse(sentence: string): never {
  console.error(sentence)
  process.exit(1)
}

function wrangler(args: readonly string[], { isQuiet }: { readonly isQuiet: boolean } = { isQuiet: false }): Promise<number> {
  const child = spawn('wrangler', args, { stdio: isQuiet ? 'ignore' : 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => child.once('error', reject).once('exit', (code) => resolve(code ?? 1)))
}

function readConfig(environment?: string): Unstable_Config {
  try {
    return unstable_readConfig({ config: 'wrangler.toml', env: environment }, { hideWarnings: true })
  } catch (error) {
    return refuse(`wrangler.toml cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The top of wrangler.toml is production; any other environment has its own section. */
function sectionOf(environment: string): string | undefined {
  const declared = readConfig().definedEnvironments ?? []
  if (declared.includes(environment)) return environment
  return environment === 'production' ? undefined : refuse(`wrangler.toml has no [env.${environment}].`)
}

/** Everything that can be known to fail is said before anything changes. */
async function mustBeReady(section: string | undefined): Promise<void> {
  const database = readConfig(section).d1_databases.find(({ binding }) => binding === 'DB')
  if (!database?.database_id || NO_DATABASE.test(database.database_id))
    refuse('wrangler.toml names no database yet: run `npx wrangler d1 create parvis` and put the id it prints there as database_id of DB.')
  if (!existsSync('dist/assets')) refuse('The browser assets are not built: src/dev/assets.ts is missing.')
  if (!process.env['CLOUDFLARE_API_TOKEN'] && (await wrangler(['whoami', '--json'], { isQuiet: true })) !== 0)
    refuse('Cloudflare does not know you: run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID.')
}

const { values } = parseArgs({ options: { env: { type: 'string', default: 'production' } } })
const section = sectionOf(values.env)
const target = section ? ['--env', section] : []
await mustBeReady(section)

console.log('Migrations first: they only add, so the running code keeps working.')
if ((await wrangler(['d1', 'migrations', 'apply', 'DB', '--remote', ...target])) !== 0)
  refuse('The migrations were not applied; the code was left as it was.')
if ((await wrangler(['deploy', ...target])) !== 0)
  refuse('The deploy failed; the previous code runs on, and works with the migrated schema.')
console.log(`Deployed. To go back: \`${['npx wrangler rollback', ...target].join(' ')}\``)
