import { randomBytes } from 'node:crypto'
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

// The local runtime would ask the network where the request comes from.
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false'
process.env['WRANGLER_SEND_METRICS'] = 'false'

// A shared CI machine stalls now and then: there a test has a second try, and the run says which needed it.
const shared = { testTimeout: 30_000, hookTimeout: 60_000, retry: process.env['CI'] === 'true' ? 1 : 0 }

/** What the Worker of wrangler.toml needs to boot, and the schema for `applyD1Migrations(env.DB, env.TEST_MIGRATIONS)`. */
const runtimeBindings = async () => ({
  ENVIRONMENT: 'dev',
  PUBLIC_ORIGIN: 'https://parvis.test',
  SECRET_KEYS: `1:${randomBytes(32).toString('base64url')}`,
  // More than any test's crowd, and few enough to open one by one.
  ROOM_LEAVES_ABOVE: '220',
  ROOM_LEAF_SOCKETS: '100',
  ROOMS_FUZZ: process.env['ROOMS_FUZZ'] ?? '',
  TEST_MIGRATIONS: await readD1Migrations('migrations'),
})

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...shared,
          name: 'node',
          pool: 'forks',
          include: ['test/**/*.test.{ts,tsx}'],
          exclude: ['test/runtime/**', 'test/bench/**'],
        },
      },
      {
        // Inside workerd, where a Durable Object can be evicted under its sockets.
        plugins: [
          cloudflareTest(async () => ({ wrangler: { configPath: './wrangler.toml' }, miniflare: { bindings: await runtimeBindings() } })),
        ],
        test: { ...shared, name: 'runtime', include: ['test/runtime/**/*.test.ts'] },
      },
    ],
  },
})
