import { Hono } from 'hono'
import { mountConsole } from '../console/app.tsx'
import { Problem } from '../contract/problem.ts'
import { endpoints, sockets } from '../contract/registry.ts'
import type { Env } from './env.ts'
import { FEATURES } from './features.ts'
import { mountDocs } from './http/docs.ts'
import { BOOKMARK_HEADER, frame } from './http/frame.ts'
import type { EdgeApp, EdgeEnv } from './http/implement.ts'
import { answerProblem, problemResponse } from './http/problems.ts'
import { authenticate } from './identity/service.ts'
import { readConfig } from './platform/config.ts'
import { isBookmark, openDb } from './platform/db.ts'
import { newId } from './platform/id.ts'
import { logFor } from './platform/log.ts'
import { sendMailConsumer } from './platform/mail/outbox.ts'
import { type Consumers, deliverEvents, joinConsumers } from './platform/outbox/outbox.ts'
import type { Scope } from './platform/scope.ts'
import type { Trace } from './platform/trace.ts'

/** Every outbox topic and who handles it. */
export const CONSUMERS: Consumers = joinConsumers([{ 'mail.send': sendMailConsumer }, ...FEATURES.map((f) => f.consumers ?? {})])

/** What a unit of work may touch. @throws ConfigError */
export function makeScope(
  env: Env,
  given: { readonly trace: Trace; readonly waitUntil: Scope['waitUntil']; readonly bookmark?: string | undefined },
) {
  let opened: ReturnType<typeof openDb> | undefined
  const scope: Scope = {
    env,
    config: readConfig(env),
    // Opened on first use: a request that needs no storage should not pay for it.
    get db() {
      opened ??= openDb(env.DB, given.bookmark)
      return opened.db
    },
    actor: undefined,
    now: Date.now,
    newId: (prefix) => newId(prefix, Date.now()),
    trace: given.trace,
    log: logFor(given.trace),
    waitUntil: given.waitUntil,
    deliver: (ids) => given.waitUntil(deliverEvents(scope, CONSUMERS, ids)),
  }
  return { scope, bookmark: () => opened?.bookmark() }
}

/** Paths a method was meant for, by what the contract lists. */
function allowedMethods(): Map<string, string[]> {
  const allowed = new Map<string, string[]>()
  for (const { path, method } of Object.values(endpoints)) {
    allowed.set(path, [...(allowed.get(path) ?? []), ...(method === 'GET' ? ['GET', 'HEAD'] : [method])])
  }
  for (const { path } of Object.values(sockets)) allowed.set(path, ['GET'])
  return allowed
}

/** Answers known paths called with another method; mounted last, so it meets only what nobody took. */
function mountMethodNotAllowed(app: EdgeApp): void {
  for (const [path, methods] of allowedMethods()) {
    app.all(path, (c) => {
      c.set('route', path)
      c.set('problem', 'method-not-allowed')
      const answer = problemResponse(new Problem('method-not-allowed'), c.get('trace').traceId)
      answer.headers.set('allow', methods.join(', '))
      return answer
    })
  }
}

/** The whole HTTP side of the Worker. */
export function makeApp(): EdgeApp {
  const app = new Hono<EdgeEnv>()
  app.onError(answerProblem)
  app.notFound((c) => answerProblem(new Problem('not-found'), c))
  app.use(
    frame((c, trace) => {
      const header = c.req.header(BOOKMARK_HEADER)
      c.set('authenticate', authenticate)
      const bookmark = header !== undefined && isBookmark(header) ? header : undefined
      return makeScope(c.env, { trace, waitUntil: (work) => c.executionCtx.waitUntil(work), bookmark })
    }),
  )
  for (const feature of FEATURES) feature.mount(app)
  mountDocs(app)
  mountConsole(app)
  mountMethodNotAllowed(app)
  return app
}
