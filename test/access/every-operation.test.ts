import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ZodType } from 'zod'
import type { Endpoint } from '../../src/contract/endpoint.ts'
import { endpoints, sockets } from '../../src/contract/registry.ts'
import { type Edge, startEdge } from '../harness.ts'
import { type Answer, read } from '../identity/raw.ts'
import { knock } from '../rooms/person.ts'
import { RULES, type Rule } from './rules.ts'
import { keyOf, makeWorld, SCOPES, type Sent, send, type World } from './world.ts'

let edge: Edge
let world: World
beforeAll(async () => {
  edge = await startEdge({ vars: { LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60 write=100000/60' } })
  world = await makeWorld(edge)
})
afterAll(() => edge.stop())

type Operation = readonly [id: string, endpoint: Endpoint, rule: Rule]
const OPERATIONS: readonly Operation[] = (Object.values(endpoints) as Endpoint[]).map((e) => [e.id, e, RULES[e.id as keyof typeof RULES]])
const CLOSED = OPERATIONS.filter(([, e]) => e.access === 'user')
const NAMED = CLOSED.filter(([, , rule]) => rule.stranger !== undefined)
const isAtOnce = ({ isSensitive, permission, stepUp }: Endpoint) => Boolean(isSensitive ?? permission ?? stepUp)

const sentTo = ({ method, path }: Endpoint, { body, headers, query = '' }: Rule): Sent => ({
  method,
  path: path.replace(/:(\w+)/g, (_, name: string) => world.paths[name] ?? `no-${name}`) + query,
  ...(body === undefined ? {} : { body }),
  headers,
})
const call = (token: string | undefined, [, e, rule]: Operation) => send(edge, token, sentTo(e, rule))
const verdictOf = ({ slug }: Answer) => slug ?? 'served'

/** What each operation of a list answers, one after the other, by its id. */
async function verdicts(operations: readonly Operation[], ask: (operation: Operation) => Promise<Answer>): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const operation of operations) found[operation[0]] = verdictOf(await ask(operation))
  return found
}
const alike = (operations: readonly Operation[], slug: string) => Object.fromEntries(operations.map(([id]) => [id, slug]))

describe('the table of rules', () => {
  test('says of each operation that names something whose it is, and leaves open what the contract leaves open', () => {
    const unnamed = CLOSED.filter(([, { path }, rule]) => path.includes('/:') && rule.stranger === undefined).map(([id]) => id)
    expect(unnamed).toEqual([])
    expect(OPERATIONS.filter(([, e, rule]) => e.access === 'public' && rule.stranger !== undefined)).toEqual([])
  })

  test('has what gives or takes access, or reaches a host, ask storage at the very call', () => {
    expect(CLOSED.filter(([, e, rule]) => rule.isPower && !isAtOnce(e)).map(([id]) => id)).toEqual([])
  })
})

describe.each(NAMED)('%s', (...operation) => {
  const [, , rule] = operation
  test(`is ${rule.stranger} to strangers and to who owns the like elsewhere, ${rule.reader} to a reader, and nothing without a token`, async () => {
    const { steve, otto, rita } = world
    expect(verdictOf(await call(undefined, operation))).toBe('unauthenticated')
    expect(verdictOf(await call(steve.accessToken, operation))).toBe(rule.stranger)
    expect(verdictOf(await call(otto.accessToken, operation))).toBe(rule.stranger)
    expect(verdictOf(await call(rita.accessToken, operation))).toBe(rule.reader)
  })
})

/** What an operation that only looks answers somebody, if it is served as JSON. */
async function seenBy(token: string, [, e, rule]: Operation): Promise<Record<string, unknown> | undefined> {
  const { path } = sentTo(e, rule)
  const answer = await edge.request(path, { headers: { authorization: `Bearer ${token}`, ...rule.headers } })
  if (!answer.ok || !answer.headers.get('content-type')?.includes('application/json')) return void (await answer.body?.cancel())
  return (await answer.json()) as Record<string, unknown>
}

/** The paths of all fields in an answer; of a list those of its items. */
const fieldsOf = (value: unknown, at = ''): readonly string[] =>
  Array.isArray(value)
    ? value.flatMap((item) => fieldsOf(item, `${at}[]`))
    : typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, field]) => [`${at}.${name}`, ...fieldsOf(field, `${at}.${name}`)])
      : []

/** Records in which a look is an entry itself, and what is told in its own time. */
const RESTLESS = ['listCommands', 'listMyActivity', 'listNotifications', 'listOrgAudit']

describe('what is shown', () => {
  const looks = CLOSED.filter(([, { method }]) => method === 'GET')

  test('has no field that the contract does not name, whoever looks', async () => {
    const { ada, rita, dora, otto, steve } = world
    // Steve looks after the platform, for as long as this takes.
    await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(steve.userId).run()
    const unnamed: string[] = []
    for (const operation of looks) {
      for (const person of [ada, rita, dora, otto, steve]) {
        const seen = await seenBy(person.accessToken, operation)
        const named = seen && new Set(fieldsOf((operation[1].response as ZodType).parse(seen)))
        unnamed.push(...fieldsOf(seen).flatMap((field) => (named?.has(field) ? [] : [`${operation[0]} ${field}`])))
      }
    }
    await edge.db.prepare('DELETE FROM platform_roles').run()
    expect(unnamed).toEqual([])
  })

  test('to a reader of what an owner looks at too has the same fields, and of what others did in shells nothing', async () => {
    const { ada, rita } = world
    const nothing: string[] = []
    for (const operation of looks.filter(([, , rule]) => rule.reader === 'served')) {
      const [id] = operation
      const [whole, less] = [await seenBy(ada.accessToken, operation), await seenBy(rita.accessToken, operation)]
      const isEmpty = Array.isArray(less?.['items']) && less['items'].length === 0
      if (isEmpty) nothing.push(id)
      else expect(new Set(fieldsOf(less)), id).toEqual(new Set(fieldsOf(whole)))
    }
    expect(nothing).toEqual(expect.arrayContaining(['listAccessRequests', 'listCommands', 'listRecordings']))
  })

  test('of one organisation counts the same, whatever is made in another', async () => {
    const { dora, otto, elsewhere } = world
    const counts = async () => {
      const found: Record<string, number> = {}
      for (const operation of looks.filter(([id]) => !RESTLESS.includes(id))) {
        const items = (await seenBy(dora.accessToken, operation))?.['items']
        if (Array.isArray(items)) found[operation[0]] = items.length
      }
      return found
    }
    const before = await counts()
    const { orgId, roomId } = elsewhere
    const makings: readonly (readonly [string, object])[] = [
      ['/v1/rooms', { name: 'Elsewhere', orgId }],
      [`/v1/rooms/${roomId}/invites`, { role: 'viewer' }],
      [`/v1/rooms/${roomId}/versions`, { name: 'Elsewhere' }],
      [`/v1/orgs/${orgId}/invitations`, { email: 'elsewhere@example.net', role: 'reader' }],
      ['/v1/webhooks', { orgId, url: 'https://elsewhere.example.net/hook', kinds: ['room.created'] }],
      ['/v1/auth/keys', { name: 'Elsewhere', scopes: SCOPES }],
      ['/v1/orgs', { name: 'Elsewhere' }],
    ]
    for (const [path, body] of makings) {
      expect((await send(edge, otto.accessToken, { method: 'POST', path, body })).status, path).toBeLessThan(300)
    }
    expect(Object.keys(before).length).toBeGreaterThan(10)
    expect(await counts()).toEqual(before)
  })
})

describe('every operation', () => {
  test('that is about its caller alone is nothing without a token', async () => {
    const own = CLOSED.filter(([, , rule]) => rule.stranger === undefined)
    expect(await verdicts(own, (o) => call(undefined, o))).toEqual(alike(own, 'unauthenticated'))
  })

  test('is closed to a key that has every scope but its own', async () => {
    const { otto } = world
    const keys = new Map<string, string>()
    for (const missing of [...SCOPES, undefined]) {
      keys.set(
        String(missing),
        await keyOf(
          edge,
          otto,
          SCOPES.filter((s) => s !== missing),
        ),
      )
    }
    expect(await verdicts(CLOSED, (o) => call(keys.get(String(o[1].scope)), o))).toEqual(alike(CLOSED, 'scope-missing'))
  })

  test('spelled another way is not there, not so, or asks for a token all the same', async () => {
    const encoded = (text: string) => [...text].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')
    const spellings = (path: string, nth: number) => {
      const at = 4 + (nth % (path.length - 4))
      return [
        `${path.slice(0, at)}${encoded(path.slice(at, at + 1))}${path.slice(at + 1)}`,
        path.replace(/[a-z]+/g, encoded),
        [`${path}/`, path.replace('/v1/', '//v1/'), path.replace('/v1/', '/v1//')][nth % 3] ?? '',
        [path.replace('/v1/', '/V1/'), `/v1/x/..;${path.slice(3)}`, `/v1/x/../..${path}`][nth % 3] ?? '',
        `/v1/${path.slice(4).replaceAll('/', '%2f')}%00`,
      ]
    }
    for (const [nth, [id, e, rule]] of CLOSED.entries()) {
      const { method, path } = sentTo(e, rule)
      const answers = await Promise.all(
        spellings(path, nth).map(async (p) => [p, (await read(await fetch(`${edge.origin}${p}`, { method }))).status] as const),
      )
      expect(
        answers.filter(([, status]) => ![401, 404, 405].includes(status)),
        id,
      ).toEqual([])
    }
  })

  test('by which access is given or taken refuses a session that ended elsewhere at once, though the isolate remembers it', async () => {
    const device = await world.signIn(world.dora)
    const set = (endedAt: number | null) =>
      edge.db.prepare('UPDATE sessions SET ended_at = ? WHERE id = ?').bind(endedAt, device.sessionId).run()
    const look = () => send(edge, device.accessToken, { method: 'GET', path: '/v1/auth/session' })
    const atOnce = CLOSED.filter(([, e]) => isAtOnce(e))
    const found = await verdicts(atOnce, async (operation) => {
      await set(null)
      await look()
      await set(1)
      expect((await look()).status, 'the isolate remembers').toBe(200)
      return call(device.accessToken, operation)
    })
    expect(found).toEqual(alike(atOnce, 'session-ended'))
  })

  test('is over with its session', async () => {
    const device = await world.signIn(world.dora)
    expect((await send(edge, device.accessToken, { method: 'DELETE', path: `/v1/auth/sessions/${device.sessionId}` })).status).toBe(204)
    expect(await verdicts(CLOSED, (o) => call(device.accessToken, o))).toEqual(alike(CLOSED, 'session-ended'))
  })

  test('is over for a disabled owner and for every key of theirs', async () => {
    const { ada, dora } = world
    const key = await keyOf(edge, await world.signIn(dora), SCOPES)
    await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(ada.userId).run()
    const proven = "UPDATE sessions SET amr = 'pwd otp mfa', authenticated_at = ? WHERE user_id = ?"
    await edge.db.prepare(proven).bind(Date.now(), ada.userId).run()
    const disabled = await send(edge, ada.accessToken, {
      method: 'POST',
      path: `/v1/admin/users/${dora.userId}/disable`,
      body: { reason: 'Spam' },
    })
    expect(disabled.status).toBe(204)
    expect(await verdicts(CLOSED, (o) => call(dora.accessToken, o))).toEqual(alike(CLOSED, 'session-ended'))
    expect(await verdicts(CLOSED, (o) => call(key, o))).toEqual(alike(CLOSED, 'unauthenticated'))
  })
})

// The Hocuspocus door hears its token in a frame; test/rooms/hocuspocus.test.ts has what it answers.
const DOORS = Object.entries(sockets).filter(([id, { path }]) => path.includes('/:') && id !== 'joinRoomHocuspocus')
describe.each(DOORS)('the door %s', (_, { path }) => {
  test('opens to nobody without a token, and is not there for strangers and other owners', async () => {
    const at = path.replace(/:(\w+)/g, (_name, name: string) => world.paths[name] ?? 'none')
    const slugOf = async (token: string | undefined) =>
      (await knock(edge, at, { protocols: token === undefined ? [] : ['parvis', `bearer.${token}`] })).slug
    expect(await slugOf('a.b.c')).toBe('unauthenticated')
    expect(await slugOf(world.steve.accessToken)).toBe('not-found')
    expect(await slugOf(world.otto.accessToken)).toBe('not-found')
  })
})
