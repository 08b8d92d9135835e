import type * as z from 'zod'

/**
 * Runs before every island. zod would try `new Function` to learn whether it may compile its checks, and every try breaks the page's
 * policy; its global configuration, read when the first schema is made, tells it not to.
 */
const config: Partial<z.core.$ZodConfig> = { jitless: true }
Object.assign(globalThis, { __zod_globalConfig: config })
