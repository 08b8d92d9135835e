import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Endpoint } from '../../src/contract/endpoint.ts'
import { endpoints } from '../../src/contract/registry.ts'
import { type Edge, startEdge } from '../harness.ts'
import { read } from '../identity/raw.ts'
import { from } from '../limits/callers.ts'
import { drawnFrom, type Schema } from './drawn.ts'
import { RULES } from './rules.ts'
import { makeWorld, type Person, type World } from './world.ts'

interface Operation {
  readonly operationId: string
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: Schema; readonly required?: boolean }[]
  readonly responses: Readonly<Record<string, unknown>>
}

/** The reference as it is published: what its readers generate their clients and their own tests from. */
const { paths, components } = JSON.parse(readFileSync('test/golden/openapi.json', 'utf8')) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}
const OPERATIONS = new Map(Object.values(paths).flatMap((path) => Object.values(path).map((op) => [op.operationId, op] as const)))

const RUNS = 20
/** These end what the others need: the caller's sessions or role, or the account. */
const LAST = ['deleteMe', 'setUserRoles', 'disableUser', 'transferOrg']

let edge: Edge
let world: World
let owner: Person
beforeAll(async () => {
  const roomy = ['register', 'mail', 'code', 'login', 'login-place', 'login-account', 'factor', 'write', 'messages']
  edge = await startEdge({ vars: { LIMITS: roomy.map((name) => `${name}=1000000/60`).join(' ') } })
  world = await makeWorld(edge)
  owner = world.dora
  await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(owner.userId).run()
})
afterAll(() => edge.stop())

const idsOf = ({ paths: named }: World): Record<string, string> =>
  Object.fromEntries(Object.values(named).map((id) => [id.slice(0, id.indexOf('_') + 1), id]))

const queryIn = ({ parameters = [] }: Operation): Schema => {
  const query = parameters.filter((parameter) => parameter.in === 'query')
  return {
    type: 'object',
    properties: Object.fromEntries(query.map(({ name, schema }) => [name, schema])),
    required: query.filter(({ required }) => required).map(({ name }) => name),
  }
}

let sent = 0
async function call(e: Endpoint, { body, query }: { readonly body: unknown; readonly query: object }) {
  const named: Readonly<Record<string, string>> = { ...world.paths, userId: world.steve.userId }
  const path = e.path.replace(/:(\w+)/g, (_, name: string) => named[name] ?? `no-${name}`)
  const asked = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))
  const authorization: Record<string, string> = e.access === 'public' ? {} : { authorization: `Bearer ${owner.accessToken}` }
  const own = RULES[e.id as keyof typeof RULES].headers ?? {}
  const place = from(`2001:db8:${(++sent % 50).toString(16)}::1`)
  const content = body === undefined ? {} : { 'content-type': 'application/json' }
  return read(
    await edge.request(`${path}?${asked}`, {
      method: e.method,
      headers: { ...authorization, ...own, ...place, ...content },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )
}

const takesSomething = ({ requestBody, parameters = [] }: Operation) =>
  requestBody?.content['application/json'] !== undefined || parameters.some((parameter) => parameter.in === 'query')

const CASES = (Object.values(endpoints) as Endpoint[])
  .filter(({ id, stream }) => stream === undefined && takesSomething(OPERATIONS.get(id) as Operation))
  .sort((a, b) => Number(LAST.includes(a.id)) - Number(LAST.includes(b.id)))
  .map((e) => [e.id, e] as const)

describe('whatever its published schema allows, from somebody who may', () => {
  test.each(CASES)('%s answers as it says', async (id, e) => {
    const operation = OPERATIONS.get(id) as Operation
    const known = { schemas: components.schemas, ids: idsOf(world) }
    const schema = operation.requestBody?.content['application/json']?.schema
    const input = fc.record({
      body: schema ? drawnFrom(schema, known) : fc.constant(undefined),
      query: drawnFrom(queryIn(operation), known),
    })
    await fc.assert(
      fc.asyncProperty(input as fc.Arbitrary<{ body: unknown; query: object }>, async (drawn) => {
        const { status, slug } = await call(e, drawn)
        expect({ slug, isDeclared: String(status) in operation.responses }).toEqual({ slug, isDeclared: true })
        expect(slug).not.toBe('internal')
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    )
  })
})
