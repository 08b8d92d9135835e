import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Endpoint, problemsOf, type SocketEndpoint } from '../src/contract/endpoint.ts'
import { HOOK_EVENTS } from '../src/contract/hooks.ts'
import { PROBLEMS } from '../src/contract/problem.ts'
import { endpoints, sockets } from '../src/contract/registry.ts'
import { openApiDocument } from '../src/edge/http/openapi.ts'

const GOLDEN = 'test/golden/openapi.json'
const all = endpoints as unknown as Record<string, Endpoint>

interface Operation {
  readonly operationId: string
  readonly responses: Record<string, { readonly 'x-problems'?: readonly string[] }>
}
const document = openApiDocument(all, sockets as unknown as Record<string, SocketEndpoint>) as {
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, unknown>
}
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))

test('the document is the one on record; UPDATE_GOLDEN=1 renews it', () => {
  const printed = `${JSON.stringify(document, undefined, 2)}\n`
  if (process.env['UPDATE_GOLDEN'] === '1' || !existsSync(GOLDEN)) writeFileSync(GOLDEN, printed)
  expect(printed).toBe(readFileSync(GOLDEN, 'utf8'))
})

test('every operation and every socket is printed once', () => {
  expect(operations.map((o) => o.operationId).sort()).toEqual([...Object.keys(endpoints), ...Object.keys(sockets)].sort())
  for (const [name, e] of Object.entries(all)) expect(e.id).toBe(name)
})

test('every operation on shells and their records stands in the table of calls, and what hooks are sent is printed', () => {
  const calls = readFileSync('docs/shells.md', 'utf8').split('## Every call')[1]?.split('\n## ')[0] ?? ''
  const ids = [...Object.values(all), ...Object.values(sockets)]
    .filter(({ tag }) => tag === 'shells' || tag === 'recordings')
    .map(({ id }) => id)
  expect(ids.length).toBeGreaterThan(30)
  expect(ids.filter((id) => !calls.includes(`\`${id}\``))).toEqual([])
  expect(Object.keys(document.webhooks).sort()).toEqual(Object.values(HOOK_EVENTS).toSorted())
})

test.each(Object.values(all).map((e) => [e.id, e] as const))('%s lists every problem it can answer', (id, e) => {
  const { responses } = operations.find((o) => o.operationId === id)!
  const listed = Object.values(responses).flatMap((r) => r['x-problems'] ?? [])
  expect([...listed].sort()).toEqual([...problemsOf(e)].sort())
  for (const slug of problemsOf(e)) expect(Object.keys(responses)).toContain(String(PROBLEMS[slug].status))
})
