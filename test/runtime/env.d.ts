import type { D1Migration } from 'cloudflare:test'
import type { Env as EdgeEnv } from '../../src/edge/env.ts'

declare global {
  namespace Cloudflare {
    /** The Worker's own bindings, and the schema to put into its empty D1. */
    interface Env extends EdgeEnv {
      readonly TEST_MIGRATIONS: D1Migration[]
      /** How long to look for what does not converge. */
      readonly ROOMS_FUZZ: string
    }
    interface GlobalProps {
      mainModule: typeof import('../../src/edge/worker.ts')
    }
  }
}
