import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

const shared = { testTimeout: 30_000, hookTimeout: 60_000 }

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
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' } })],
        test: { ...shared, name: 'runtime', include: ['test/runtime/**/*.test.ts'] },
      },
    ],
  },
})
