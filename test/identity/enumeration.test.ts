import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { endpoints } from '../../src/contract/registry.ts'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { from } from '../limits/callers.ts'
import { until } from '../until.ts'
import { type Answer, post, register, signInRaw } from './raw.ts'

const SAMPLES = 200
/** Hundreds of answers one after the other, on a machine that may be busy: nothing here waits for a time. */
const SAMPLING_MS = 900_000
const WRONG = 'a wrong but long enough guess'

let edge: Edge
let template: string
beforeAll(async () => {
  const roomy = [
    'register',
    'register-global',
    'mail',
    'mail-global',
    'code',
    'code-global',
    'login',
    'login-place',
    'login-account',
    'write',
  ]
  edge = await startEdge({ vars: { ORG_INVITATIONS: '1000', LIMITS: roomy.map((name) => `${name}=1000000/60`).join(' ') } })
  template = await register(edge, 'template')
})
afterAll(() => edge.stop())

let planted = 0
/** Addresses of accounts with the password of the template, put in without the cost of a hash each. */
async function plant(count: number, set = ''): Promise<string[]> {
  const group = ++planted
  const emails = Array.from({ length: count }, (_, i) => `known-${group}-${i}@example.net`)
  await edge.db
    .prepare(
      `INSERT INTO users (id, email, password_hash, locale, created_at)
       SELECT printf('usr_01jd000000000000%04d%06d', ?, e.key), e.value, u.password_hash, 'en', u.created_at
       FROM json_each(?) AS e, users AS u WHERE u.email = ?`,
    )
    .bind(group, JSON.stringify(emails), template)
    .run()
  if (set) await edge.db.prepare(`UPDATE users SET ${set} WHERE email LIKE ?`).bind(`known-${group}-%`).run()
  return emails
}
const strangers = (count: number): string[] => {
  const group = ++planted
  return Array.from({ length: count }, (_, i) => `other-${group}-${i}@example.net`)
}

const masked = (text: string) =>
  text
    .replace(/\b(reg|mgc|rst|emc|inv)_[0-9a-z]{26}\b/g, '$1')
    .replace(/(?:known|other)-\d+-\d+@/g, 'somebody@')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'time')
    .replace(/[0-9a-f]{32}|[0-9a-f]{16}/g, 'hex')
const VARYING = ['date', 'traceparent', 'parvis-bookmark', 'content-length']
/** All that an answer says but for ids, times and what is left of a budget. */
const told = ({ status, headers, body }: Answer) => ({
  status,
  headers: [...headers].map(([name, value]) => `${name}: ${VARYING.includes(name) ? '' : value.replace(/;[rt]=\d+/g, '')}`).sort(),
  length: masked(JSON.stringify(body)).length,
  body: masked(JSON.stringify(body)),
})

interface Sample {
  readonly ms: number
  readonly told: string
}

let places = 0
/** Asks once, from one of many places: nothing but the address differs. */
async function sampleOf(path: string, body: object, headers: Record<string, string>): Promise<Sample> {
  const startedAt = performance.now()
  const answer = await post(edge, path, body, { ...from(`2001:db8:${(++places % 24).toString(16)}::1`), ...headers })
  return { ms: performance.now() - startedAt, told: JSON.stringify(told(answer)) }
}

/** How often one of `a` takes longer than one of `b`: a half when nothing tells them apart (Mann and Whitney's U over all pairs). */
function shareOfSlower(a: readonly Sample[], b: readonly Sample[]): number {
  const wins = a.flatMap(({ ms }) => b.map((other): number => (ms > other.ms ? 1 : ms === other.ms ? 0.5 : 0)))
  return wins.reduce((sum, n) => sum + n, 0) / wins.length
}

/** Four standard deviations of that share where nothing differs: 0.12 for 200 samples each. */
const slackOf = (a: number, b: number) => 4 * Math.sqrt((a + b + 1) / (12 * a * b))

/** What is asked of known and of unknown addresses, by whom. */
interface Door {
  readonly path: string
  readonly headers?: Record<string, string>
}

/** Asks for each kind of known address and for unknown ones in turns of random order: whatever else the machine does falls on all alike. */
async function compareKinds(door: Door, known: Readonly<Record<string, readonly object[]>>, unknown: readonly object[]): Promise<void> {
  const { path, headers = {} } = door
  const kinds = Object.entries({ ...known, unknown }).map(([kind, bodies]) => ({ kind, bodies, samples: [] as Sample[] }))
  for (const i of unknown.keys()) {
    const turns = kinds.map((kind) => ({ kind, at: Math.random() })).sort((a, b) => a.at - b.at)
    for (const { kind } of turns) kind.samples.push(await sampleOf(path, kind.bodies[i]!, headers))
  }
  expect(new Set(kinds.flatMap(({ samples }) => samples.map((sample) => sample.told)))).toHaveProperty('size', 1)
  const others = kinds.pop()!.samples
  for (const { kind, samples } of kinds) {
    const share = shareOfSlower(samples, others)
    const slack = slackOf(samples.length, others.length)
    expect(Math.abs(share - 0.5), `of pairs, ${share.toFixed(2)} took longer for an address that is ${kind}`).toBeLessThan(slack)
  }
}

/** As {@link compareKinds}, for one kind. */
const compare = (door: Door, known: readonly object[], unknown: readonly object[]) => compareKinds(door, { known }, unknown)

const withEmail = (emails: readonly string[], more: object = {}) => emails.map((email) => ({ email, ...more }))

describe('nothing tells whether an address is known: neither status nor headers nor body nor time', { timeout: SAMPLING_MS }, () => {
  test('at registration', async () => {
    const [known, unknown] = [await plant(SAMPLES), strangers(SAMPLES)]
    await compare({ path: '/v1/auth/register' }, withEmail(known, { password: PASSWORD }), withEmail(unknown, { password: PASSWORD }))
  })

  test('at sign-in: with another password, disabled with the very password, and without a password', async () => {
    const kinds = {
      known: withEmail(await plant(SAMPLES), { password: WRONG }),
      disabled: withEmail(await plant(SAMPLES, 'disabled_at = 1'), { password: PASSWORD }),
      'without a password': withEmail(await plant(SAMPLES, "password_hash = ''"), { password: PASSWORD }),
    }
    await compareKinds({ path: '/v1/auth/login' }, kinds, withEmail(strangers(SAMPLES), { password: PASSWORD }))
  })

  test.each([
    ['for a reset', '/v1/auth/password/forgot', ''],
    ['for a reset of a disabled account', '/v1/auth/password/forgot', 'disabled_at = 1'],
    ['to sign in by mail', '/v1/auth/magic', ''],
  ])('asking %s', async (_, path, set) => {
    await compare({ path }, withEmail(await plant(SAMPLES, set)), withEmail(strangers(SAMPLES)))
  })

  test.each([
    ['at a reset', '/v1/auth/password/forgot', 'resetId', '/v1/auth/password/reset', { newPassword: 'seven otters juggle lanterns' }],
    ['at sign-in', '/v1/auth/magic', 'magicId', '/v1/auth/magic/verify', {}],
    ['at registration', '/v1/auth/register', 'registrationId', '/v1/auth/verify', {}],
  ])('a wrong code %s', async (_, askPath, field, path, more) => {
    const isHashed = askPath.endsWith('register')
    const count = SAMPLES / 4
    const asked = async (emails: readonly string[]) => {
      const bodies = withEmail(emails, isHashed ? { password: PASSWORD } : {})
      const ids: unknown[] = []
      for (const body of bodies) ids.push((await post(edge, askPath, body)).body[field])
      // Four of the five tries that each has.
      return [0, 1, 2, 3].flatMap(() => ids.map((id) => ({ [field]: id, code: '000000', ...more })))
    }
    await compare({ path }, await asked(await plant(count)), await asked(strangers(count)))
  })

  test('asking for it oneself, signed in', async () => {
    const { accessToken } = await signInRaw(edge, 'curious')
    const door = { path: '/v1/me/email', headers: { authorization: `Bearer ${accessToken}` } }
    await compare(door, withEmail(await plant(SAMPLES)), withEmail(strangers(SAMPLES)))
  })

  test('inviting it into an organisation', async () => {
    const { accessToken } = await signInRaw(edge, 'inviting')
    const headers = { authorization: `Bearer ${accessToken}` }
    const { body } = await post(edge, '/v1/orgs', { name: 'Curious' }, headers)
    const door = { path: `/v1/orgs/${String(body['id'])}/invitations`, headers }
    await compare(door, withEmail(await plant(SAMPLES), { role: 'reader' }), withEmail(strangers(SAMPLES), { role: 'reader' }))
    // The known ones are told besides, by the queue.
    await until(async () => {
      const { results } = await edge.db.prepare("SELECT 1 FROM outbox_events WHERE topic = 'inbox.notify' AND done_at IS NULL").all()
      return results.length === 0
    })
  })

  test('having a registration mailed again', async () => {
    const count = SAMPLES / 4
    const asked = async (emails: readonly string[]) => {
      const ids: unknown[] = []
      for (const email of emails) ids.push((await post(edge, '/v1/auth/register', { email, password: PASSWORD })).body['registrationId'])
      return [0, 1, 2, 3].flatMap(() => ids.map((registrationId) => ({ registrationId })))
    }
    await compare({ path: '/v1/auth/verify/resend' }, await asked(await plant(count)), await asked(strangers(count)))
  })
})

test('an id that nobody was given is answered like one whose code is wrong', async () => {
  const NOBODYS = '_01jd0000000000000000000001'
  const [email] = await plant(1)
  const doors = [
    {
      ask: '/v1/auth/password/forgot',
      field: 'resetId',
      use: '/v1/auth/password/reset',
      more: { newPassword: 'seven otters juggle lanterns' },
    },
    { ask: '/v1/auth/magic', field: 'magicId', use: '/v1/auth/magic/verify', more: {} },
  ]
  for (const { ask, field, use, more } of doors) {
    const id = String((await post(edge, ask, { email })).body[field])
    const answers = await Promise.all(
      [id, id.slice(0, 3) + NOBODYS].map((given) => post(edge, use, { [field]: given, code: '000000', ...more })),
    )
    expect(told(answers[1]!)).toEqual(told(answers[0]!))
  }
})

test('every operation that is given an address is one of those above', () => {
  const asks = Object.values(endpoints).filter(({ body }) => body instanceof z.ZodObject && 'email' in body.shape)
  expect(asks.map(({ path }) => path).sort()).toEqual([
    '/v1/auth/login',
    '/v1/auth/magic',
    '/v1/auth/password/forgot',
    '/v1/auth/register',
    '/v1/me/email',
    '/v1/orgs/:orgId/invitations',
  ])
})
