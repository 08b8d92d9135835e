import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'

let auth

/** As its documentation sets it up for D1, with its rate limits and origin checks off. */
const made = (env) =>
  betterAuth({
    database: env.DB,
    secret: env.AUTH_SECRET,
    baseURL: 'http://127.0.0.1',
    trustedOrigins: ['http://127.0.0.1'],
    emailAndPassword: { enabled: true },
    session: { cookieCache: { enabled: env.COOKIE_CACHE === 'yes', maxAge: 300 }, updateAge: env.COOKIE_CACHE === 'yes' ? 86_400 : 0 },
    // It takes Node's fetch for a page of nowhere.
    advanced: { disableCSRFCheck: true, disableOriginCheck: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
  })

export default {
  async fetch(request, env) {
    auth ??= made(env)
    if (new URL(request.url).pathname !== '/prepare') return auth.handler(request)
    const { runMigrations } = await getMigrations(auth.options)
    await runMigrations()
    return Response.json({ ok: true })
  },
}
