import { fileEndpoints as api } from '../../contract/files.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { listFiles, readFile, writeFile } from './files.ts'

/** Mounts files on hosts. */
export function mountFiles(app: EdgeApp): void {
  implement(app, api.listFiles, ({ scope, actor, params, query }) => listFiles(scope, actor, { ...params, ...query }))
  implement(app, api.readFile, ({ scope, actor, params, query }) => readFile(scope, actor, { ...params, ...query }))
  implement(app, api.writeFile, ({ scope, actor, params, query, request }) =>
    writeFile(scope, actor, { ...params, ...query, body: request.body ?? new Blob([]).stream() }),
  )
}
