import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FEATURES } from '../.dependency-cruiser.mjs'

type Breaks = (text: string, path: string) => boolean
/** Which files, what breaks it, and a file that does: no rule may be one that never fails. */
type Rule = readonly [files: RegExp, breaks: Breaks | RegExp, path: string, text: string]

const CODE = /^(src|test)\/.+\.(ts|tsx|mjs)$/
const MIGRATION = /^migrations\/.+\.sql$/
const VAGUE = /^(index|utils?|types?|helpers?|common|constants?|misc|shared|lib|manager)\.tsx?$/
const GATES = /\b(test|it|describe)(\.\w+)*\.(skip|skipIf|runIf|only|todo|fails)\b|\bretry:|\b(ctx|context|task)\.skip\(/
const DESTRUCTION = /\b(DROP\s+(TABLE|COLUMN)|RENAME\s+(TO|COLUMN)|CREATE\s+VIRTUAL|PRAGMA)\b/i
const PIN = /^(npm:@?[\w/-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/

const statements = (sql: string) => sql.replace(/--.*$/gm, '').split(';')
const pins = (text: string) => {
  const { dependencies, devDependencies } = JSON.parse(text) as Record<string, Record<string, string>>
  return Object.values({ ...dependencies, ...devDependencies })
}

/** What neither the compiler nor Biome nor dependency-cruiser can say. */
const RULES: Record<string, Rule> = {
  'a file fits in 400 lines': [CODE, (text) => text.split('\n').length > 401, 'src/a.ts', '\n'.repeat(401)],
  'a file is named after a thing': [CODE, (_, path) => VAGUE.test(basename(path)), 'src/edge/orgs/utils.ts', ''],
  'a feature holds no folder': [/^src\/edge\/(?!http|platform)/, (_, p) => p.split('/').length > 4, 'src/edge/orgs/more/service.ts', ''],
  'nothing is left for later': [CODE, /\b(TODO|FIXME|XXX|HACK)\b/, 'src/a.ts', '// TODO: later'],
  'the compiler is not silenced': [CODE, /@ts-(ignore|expect-error|nocheck)/, 'test/a.ts', '// @ts-ignore'],
  'a comment is no banner': [CODE, /^\s*(\/\/|\/?\*)\s*[-=#*─━]{3,}/m, 'src/a.ts', '// ---- ids ----'],
  'chance comes from the platform': [/^src\//, /\bMath\.random\b/, 'src/edge/a.ts', 'Math.random()'],
  'D1 is written in batches': [/^src\/edge\//, /\b(db|session)\.transaction\(/, 'src/edge/a.ts', 'await scope.db.transaction(work)'],
  'a test runs, or passes the one gate': [/^test\/(?!requires\.ts)/, GATES, 'test/a.test.ts', "test.skip('later', () => {})"],
  'our own code is not mocked': [/^test\//, /\bvi\.(mock|doMock)\(/, 'test/a.test.ts', "vi.mock('../src/edge/app.ts')"],
  'a migration has a number and a name': [/^migrations\//, (_, p) => !/\/\d{4}_[a-z0-9_]+\.sql$/.test(p), 'migrations/rooms.sql', ''],
  'a migration only adds': [MIGRATION, (text) => statements(text).some((s) => DESTRUCTION.test(s)), 'migrations/1_a.sql', 'DROP TABLE a;'],
  'a table is strict': [
    MIGRATION,
    (text) => statements(text).some((s) => /^\s*CREATE TABLE\b/i.test(s) && !/\)[^)]*\bSTRICT\b[^)]*$/i.test(s)),
    'migrations/1_a.sql',
    'CREATE TABLE a (id TEXT PRIMARY KEY);',
  ],
  'a dependency is pinned': [
    /^package\.json$/,
    (text) => !pins(text).every((v) => PIN.test(v)),
    'package.json',
    '{"dependencies":{"a":"^4.0.0"}}',
  ],
  'a document counts nothing that grows': [
    /^(README|docs\/.+)\.md$/,
    /\b\d+ (tests|files|endpoints|operations|tables|lines of code|features|migrations)\b/,
    'README.md',
    'It has 120 tests.',
  ],
}

const isBroken = ([files, breaks]: Rule, path: string, text: string) =>
  files.test(path) && (breaks instanceof RegExp ? breaks.test(text) : breaks(text, path))
const paths = globSync(['src/**/*.*', 'test/**/*.*', 'migrations/*', 'docs/**/*.md', '*.{json,md}'], { exclude: ['test/golden/**'] })
const files = paths.filter((path) => path !== 'test/tidy.test.ts').map((path) => ({ path, text: readFileSync(path, 'utf8') }))

describe.each(Object.entries(RULES))('%s', (_, rule) => {
  const [, , path, text] = rule
  test('the rule can fail', () => expect(isBroken(rule, path, text)).toBe(true))
  test('it holds everywhere', () => expect(files.filter((f) => isBroken(rule, f.path, f.text)).map((f) => f.path)).toEqual([]))
})

test('every feature is mounted, in the order of imports', () => {
  const folders = globSync('src/edge/*/').map((path) => basename(path))
  const source = readFileSync('src/edge/features.ts', 'utf8')
  const mounted = [...source.matchAll(/from '\.\/(\w+)\/feature\.ts'/g)].map(([, name]) => name)
  const features = FEATURES.filter((name) => mounted.includes(name))
  expect(folders.toSorted()).toEqual([...features, 'http', 'platform'].toSorted())
  const listed: readonly string[] = /= \[([^\]]*)\]/.exec(source)?.[1]?.match(/\w+/g) ?? []
  expect(listed).toEqual(features.filter((name) => listed.includes(name)))
})

test('migrations are numbered without a gap', () => {
  const numbers = globSync('migrations/*.sql').map((path) => Number(basename(path).slice(0, 4)))
  expect(numbers.toSorted((a, b) => a - b)).toEqual(numbers.map((_, i) => i + 1))
})
