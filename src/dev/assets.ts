import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from 'esbuild'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const OUTPUT = 'dist/assets'
const STANDALONE = 'node_modules/@scalar/api-reference/dist/browser/standalone.js'

/** The reference asks nobody but us: no fonts, proxy, statistics or assistant of its maker. */
const REFERENCE = {
  url: '/v1/openapi.json',
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: '',
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: 'never',
  operationTitleSource: 'path',
  // The client's methods are named so.
  showOperationId: true,
  modelsSectionLabel: 'Schemas',
}

/** Every file by its path under the output folder. */
type Files = Map<string, Uint8Array>

const COMMON: BuildOptions & { readonly write: false } = {
  absWorkingDir: ROOT,
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  legalComments: 'eof',
  logLevel: 'silent',
  // What the console's CSS needs as well: nesting, light-dark() and dynamic viewport units.
  target: ['chrome123', 'firefox120', 'safari17.5'],
}

const imports = (paths: readonly string[]) => paths.map((path) => `@import ${JSON.stringify(`./${path}`)};`).join('\n')

/** A module per island, what they share split off, and one style sheet of ours with what the islands import after it. */
async function buildConsole(): Promise<Files> {
  const entryPoints = globSync('src/console/islands/*.{ts,tsx}', { cwd: ROOT }).sort()
  const outdir = join(ROOT, OUTPUT, 'console')
  const islands = await build({ ...COMMON, entryPoints, outdir, format: 'esm', splitting: true, loader: { '.css': 'empty' } })
  const foreign = Object.keys(islands.metafile?.inputs ?? {}).filter((path) => path.endsWith('.css'))
  const contents = imports([...foreign, ...globSync('src/console/*.css', { cwd: ROOT }).sort()])
  const stdin = { contents, loader: 'css', resolveDir: ROOT } as const
  const styles = await build({
    ...COMMON,
    stdin,
    outfile: join(ROOT, OUTPUT, 'console.css'),
    loader: { '.woff2': 'dataurl', '.svg': 'dataurl' },
  })
  return new Map(
    [...islands.outputFiles, ...styles.outputFiles].map(({ path, contents: bytes }) => [relative(join(ROOT, OUTPUT), path), bytes]),
  )
}

function copyFiles(): Files {
  const mount = `Scalar.createApiReference('#reference', ${JSON.stringify(REFERENCE)})\n`
  const pictures = globSync('src/console/*.svg', { cwd: ROOT })
  return new Map<string, Uint8Array>([
    ['reference.js', readFileSync(join(ROOT, STANDALONE))],
    ['docs.js', new TextEncoder().encode(mount)],
    ...pictures.map((path) => [basename(path), readFileSync(join(ROOT, path))] as const),
  ])
}

function isWritten(path: string, bytes: Uint8Array): boolean {
  try {
    return readFileSync(path).equals(bytes)
  } catch {
    return false
  }
}

/** In place and only where something changed: a running Worker watches the folder. */
function write(files: Files): void {
  const folder = join(ROOT, OUTPUT)
  mkdirSync(folder, { recursive: true })
  for (const [name, bytes] of files) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    if (!isWritten(path, bytes)) writeFileSync(path, bytes)
  }
  for (const entry of globSync('**', { cwd: folder, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && !files.has(relative(folder, path))) rmSync(path)
  }
}

try {
  write(new Map([...copyFiles(), ...(await buildConsole())]))
} catch (error) {
  // A build that fails leaves the last one as it was, and its message names file, line and reason.
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
