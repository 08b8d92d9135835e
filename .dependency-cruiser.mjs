/** Mounting order and import order at once; `src/edge/features.ts` follows it. */
export const FEATURES = 'audit identity orgs webhooks rooms inbox shell people moderation analytics risk privacy ops'.split(' ')

const featurePath = (names) => `^src/edge/(${names.join('|')})/`
const npmPath = (names) => `node_modules/(${names.join('|')})/`
const forbid = ([name, comment], from, to) => ({ name, comment, severity: 'error', from, to })

/** What a program may import of the others, and of npm when that is limited. */
const PROGRAMS = {
  contract: { programs: [], npm: ['zod'] },
  client: { programs: ['contract'], npm: ['zod', 'yjs', 'y-protocols', 'lib0'] },
  react: { programs: ['contract', 'client'], npm: ['react', 'zod', 'yjs', 'y-protocols', 'lib0'] },
  offline: { programs: ['contract', 'client'], npm: ['y-indexeddb', 'zod', 'yjs', 'y-protocols', 'lib0'] },
  console: {
    programs: ['contract', 'client'],
    npm: ['hono', 'zod', 'yjs', 'y-protocols', 'lib0', 'uqr', '@xterm/[^/]+', 'asciinema-player'],
  },
  relay: { programs: ['contract'] },
  edge: { programs: ['contract'], seam: { from: '^src/edge/(worker|app)\\.tsx?$', to: '^src/console/app\\.tsx?$' } },
  dev: { programs: ['contract', 'client', 'console', 'edge', 'relay'] },
}

const programRules = Object.entries(PROGRAMS).flatMap(([program, { programs, npm, seam }]) => {
  const own = `^src/${program}/`
  const may = [own, ...programs.map((other) => `^src/${other}/`)]
  return [
    forbid(
      [`program-${program}`, `${program} stands on ${programs.join(', ') || 'no other program'}`],
      { path: own, ...(seam && { pathNot: seam.from }) },
      { path: '^(src|test)/', pathNot: may },
    ),
    ...(seam
      ? [forbid([`program-${program}-seam`, 'the one seam'], { path: seam.from }, { path: '^(src|test)/', pathNot: [...may, seam.to] })]
      : []),
    ...(npm
      ? [
          forbid(
            [`npm-${program}`, `${program} uses ${npm.join(', ')} only`],
            { path: own },
            { path: 'node_modules/', pathNot: npmPath(npm) },
          ),
          forbid([`node-${program}`, `${program} also runs where Node is not`], { path: own }, { dependencyTypes: ['core'] }),
        ]
      : []),
  ]
})

const featureRules = FEATURES.flatMap((feature, at) => [
  ...(at + 1 < FEATURES.length
    ? [
        forbid(
          [`order-${feature}`, `${feature} imports only features above it`],
          { path: featurePath([feature]) },
          { path: featurePath(FEATURES.slice(at + 1)) },
        ),
      ]
    : []),
  forbid(
    [`inside-${feature}`, `of ${feature} others see service.ts and rpc.ts`],
    { path: '^src/edge/[^/]+/', pathNot: [featurePath([feature]), '^src/edge/(http|platform)/'] },
    { path: featurePath([feature]), pathNot: '/(service|rpc)\\.ts$' },
  ),
])

const edgeRules = [
  forbid(['edge-ground', 'http and platform know no feature'], { path: '^src/edge/(http|platform)/' }, { path: featurePath(FEATURES) }),
  forbid(['edge-platform', 'platform stands below http'], { path: '^src/edge/platform/' }, { path: '^src/edge/http/' }),
  forbid(['edge-env', 'env.ts sees rpc.ts only'], { path: '^src/edge/env\\.ts$' }, { path: featurePath(FEATURES), pathNot: '/rpc\\.ts$' }),
  forbid(
    ['edge-roots', 'the Worker takes feature.ts and the objects of a feature'],
    { path: '^src/edge/[^/]+$', pathNot: '^src/edge/(env|app)\\.ts$' },
    { path: featurePath(FEATURES), pathNot: '/(feature|object|leaf-object|run-object|rpc)\\.ts$' },
  ),
  forbid(
    ['edge-app', 'app.ts hands services to http, which knows no feature'],
    { path: '^src/edge/app\\.ts$' },
    { path: featurePath(FEATURES), pathNot: '/(feature|service)\\.ts$' },
  ),
  forbid(
    ['edge-upward', 'nobody imports the entry'],
    { path: '^src/', pathNot: '^src/edge/[^/]+$' },
    { path: '^src/edge/(worker|app|features)\\.tsx?$' },
  ),
]

const ENTRIES = [
  '^src/edge/worker\\.ts$',
  '^src/(client/client|react/react|offline/offline)\\.ts$',
  '^src/relay/(main|[a-z]+-thread)\\.ts$',
  '^src/console/islands/[^/]+$',
  '^src/dev/(start|check|test|deploy|assets|admin)\\.ts$|^src/dev/run\\.mjs$',
]

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...programRules,
    ...featureRules,
    ...edgeRules,
    forbid(['no-cycle', 'a cycle has no order of reading'], {}, { circular: true }),
    forbid(['no-orphan', 'nothing imports it and it imports nothing'], { orphan: true, pathNot: '\\.d\\.ts$|\\.config\\.ts$|^\\.' }, {}),
    forbid(
      ['no-dead-module', 'no entry leads here'],
      { path: ENTRIES },
      { path: '^src/', pathNot: [...ENTRIES, '\\.d\\.ts$', '^src/contract/'], reachable: false },
    ),
    forbid(['resolvable', 'the import leads nowhere'], {}, { couldNotResolve: true, pathNot: '^cloudflare:' }),
    forbid(
      ['no-dev-dependency', 'what runs in production is a dependency; what plugs in is a peer'],
      { path: '^src/', pathNot: ['^src/dev/', '^src/console/islands/', '^src/(react|offline)/'] },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: '^node_modules/@cloudflare/workers-types/' },
    ),
  ],
  required: [
    {
      name: 'typescript-is-read',
      comment: 'a parser that reads no TypeScript would find no violation either',
      severity: 'error',
      module: { path: '^src/edge/worker\\.ts$' },
      to: { path: '^src/edge/env\\.ts$' },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|\\.tsbuild|\\.wrangler|\\.parvis)/|/assets/|^test/bench/peers/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['workerd', 'worker', 'browser', 'import', 'types', 'default'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.d.ts'],
    },
  },
}
