import type { Context } from 'hono'
import type * as z from 'zod'
import { fileEndpoints as api, FILE_BYTES_MAX, FILE_PATH, FileQuery, WriteFileQuery } from '../../contract/files.ts'
import { HostId } from '../../contract/hosts.ts'
import { Problem } from '../../contract/problem.ts'
import { type EdgeApp, type EdgeEnv, implement } from '../http/implement.ts'
import { chargeCall } from '../http/limits.ts'
import { accessTokenOf } from '../http/session.ts'
import { listFiles, readFile, writeFile } from './files.ts'

/** Mounts files on hosts. Bytes go past the contract's JSON, with the same checks. */
export function mountFiles(app: EdgeApp): void {
  implement(app, api.listFiles, ({ scope, actor, params, query }) => listFiles(scope, actor, { ...params, ...query }))
  app.get(FILE_PATH, async (c) => {
    const { scope, actor, hostId, query } = await admit(c, FileQuery)
    return readFile(scope, actor, { hostId, path: query.path })
  })
  app.put(FILE_PATH, async (c) => {
    const { scope, actor, hostId, query } = await admit(c, WriteFileQuery)
    if (Number(c.req.header('content-length') ?? 0) > FILE_BYTES_MAX) throw new Problem('payload-too-large')
    const body = c.req.raw.body ?? new Blob([]).stream()
    const written = await writeFile(scope, actor, { hostId, path: query.path, overwrite: query.overwrite === 'true', body })
    return c.json(written, 201)
  })
}

async function admit<S extends z.ZodType>(c: Context<EdgeEnv, typeof FILE_PATH>, schema: S) {
  c.set('route', FILE_PATH)
  const scope = c.get('scope')
  const actor = await c.get('authenticate')(scope, accessTokenOf(c.req.raw, scope.config), { scope: 'shells:write', isSensitive: true })
  Object.assign(scope, { actor })
  const hostId = HostId.safeParse(c.req.param('hostId'))
  if (!hostId.success) throw new Problem('not-found')
  const query = schema.safeParse(c.req.query())
  if (!query.success) throw new Problem('invalid-request', { errors: [{ detail: 'is not a file of a host', pointer: '#/query' }] })
  await chargeCall(scope, 'write', { request: c.req.raw, actor })
  return { scope, actor, hostId: hostId.data, query: query.data as z.output<S> }
}
