import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { from } from '../limits/callers.ts'
import { type Answer, post, register, signInRaw } from './raw.ts'

const SAMPLES = 200
/** Where each answer pays a hash, of about 60 ms on an idle core: two hundred would take a minute a door, and a cheaper hash would be another. */
const HASHED_SAMPLES = 60
/** Hundreds of answers one after the other, on a machine that may be busy: nothing here waits for a time. */
const SAMPLING_MS = 300_000
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
  edge = await startEdge({ vars: { LIMITS: roomy.map((name) => `${name}=1000000/60`).join(' ') } })
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

/** Four standard deviations of that share where nothing differs: 0.12 for 200 samples each, 0.21 for 60. */
const slackOf = (a: number, b: number) => 4 * Math.sqrt((a + b + 1) / (12 * a * b))

/** What is asked of known and of unknown addresses, by whom. */
interface Door {
  readonly path: string
  readonly headers?: Record<string, string>
}

/** Asks for each kind in turns of random order, so that whatever else the machine does falls on both alike. */
async function compare(door: Door, known: readonly object[], unknown: readonly object[]): Promise<void> {
  const { path, headers = {} } = door
  const samples: { readonly known: Sample[]; readonly unknown: Sample[] } = { known: [], unknown: [] }
  const ask = async (kind: 'known' | 'unknown', body: object) => samples[kind].push(await sampleOf(path, body, headers))
  for (const [i, body] of known.entries()) {
    const turns = [() => ask('known', body), () => ask('unknown', unknown[i]!)]
    for (const turn of Math.random() < 0.5 ? turns : turns.toReversed()) await turn()
  }
  expect(new Set([...samples.known, ...samples.unknown].map((s) => s.told))).toHaveProperty('size', 1)
  const share = shareOfSlower(samples.known, samples.unknown)
  const slack = slackOf(known.length, unknown.length)
  expect(Math.abs(share - 0.5), `of pairs, ${share.toFixed(2)} took longer for a known address`).toBeLessThan(slack)
}

const withEmail = (emails: readonly string[], more: object = {}) => emails.map((email) => ({ email, ...more }))

describe('nothing tells whether an address is known: neither status nor headers nor body nor time', { timeout: SAMPLING_MS }, () => {
  test('at registration', async () => {
    const [known, unknown] = [await plant(HASHED_SAMPLES), strangers(HASHED_SAMPLES)]
    await compare({ path: '/v1/auth/register' }, withEmail(known, { password: PASSWORD }), withEmail(unknown, { password: PASSWORD }))
  })

  test.each([
    ['whose password is another', '', WRONG],
    ['that is disabled, with its very password', 'disabled_at = 1', PASSWORD],
    ['that has no password', "password_hash = ''", PASSWORD],
  ])('at sign-in to an account %s', async (_, set, password) => {
    const count = set ? HASHED_SAMPLES / 2 : HASHED_SAMPLES
    const [known, unknown] = [await plant(count, set), strangers(count)]
    await compare({ path: '/v1/auth/login' }, withEmail(known, { password }), withEmail(unknown, { password }))
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
    const count = isHashed ? HASHED_SAMPLES / 4 : SAMPLES / 4
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

  test('having a registration mailed again', async () => {
    const count = HASHED_SAMPLES / 4
    const asked = async (emails: readonly string[]) => {
      const ids: unknown[] = []
      for (const email of emails) ids.push((await post(edge, '/v1/auth/register', { email, password: PASSWORD })).body['registrationId'])
      return [0, 1, 2, 3].flatMap(() => ids.map((registrationId) => ({ registrationId })))
    }
    await compare({ path: '/v1/auth/verify/resend' }, await asked(await plant(count)), await asked(strangers(count)))
  })
})

/** What a known user is told in their inbox besides runs after the answer; on a machine that is the inbox too, its time says nothing of ours. */
test('an invitation is answered alike whether or not the address is known', async () => {
  const { accessToken } = await signInRaw(edge, 'inviting')
  const headers = { authorization: `Bearer ${accessToken}` }
  const { body } = await post(edge, '/v1/orgs', { name: 'Curious' }, headers)
  const invite = (email: string) => post(edge, `/v1/orgs/${String(body['id'])}/invitations`, { email, role: 'reader' }, headers)
  const answers: Answer[] = []
  for (const email of [...(await plant(5)), ...strangers(5)]) answers.push(await invite(email))
  expect(answers[0]?.status).toBe(201)
  expect(new Set(answers.map((answer) => JSON.stringify(told(answer)))).size).toBe(1)
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
