import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { type Answer, post, signInRaw } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const refresh = (refreshToken: string): Promise<Answer> => post(edge, '/v1/auth/refresh', { refreshToken })

describe('convergent refresh', () => {
  test('fifty racing refreshes of one token all get the same successor', async () => {
    const { refreshToken } = await signInRaw(edge, 'race')
    const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(refreshToken)))
    expect(answers.map((a) => a.status)).toEqual(Array(50).fill(200))
    expect(new Set(answers.map((a) => a.body.refreshToken)).size).toBe(1)
    expect(answers.filter((a) => a.body.cause === 'rotated')).toHaveLength(1)
    expect(answers.filter((a) => a.body.cause === 'concurrent-refresh')).toHaveLength(49)
  })

  test('a lost answer is repeated with the same token however late', async () => {
    const { refreshToken, sessionId } = await signInRaw(edge, 'lost')
    const first = await refresh(refreshToken)
    await edge.db.prepare('UPDATE sessions SET refreshed_at = refreshed_at - 3600000 WHERE id = ?').bind(sessionId).run()
    const again = await refresh(refreshToken)
    expect(again.body).toMatchObject({ refreshToken: first.body.refreshToken, cause: 'fail-to-save' })
  })

  test('two generations behind ends the session, inside the race window too, and the record says why', async () => {
    const { refreshToken: first, sessionId } = await signInRaw(edge, 'thief')
    const second = (await refresh(first)).body.refreshToken as string
    const third = (await refresh(second)).body.refreshToken as string
    expect(await refresh(first)).toMatchObject({ status: 401, slug: 'refresh-reused' })
    expect(await refresh(third)).toMatchObject({ status: 401, slug: 'session-ended' })
    const { results } = await edge.db
      .prepare("SELECT action, cause FROM audit_entries WHERE subject = ? AND action = 'session.end'")
      .bind(sessionId)
      .all()
    expect(results).toEqual([{ action: 'session.end', cause: 'refresh-reused' }])
  })

  test('a disabled user cannot refresh', async () => {
    const { refreshToken, userId } = await signInRaw(edge, 'disabled')
    await edge.db.prepare('UPDATE users SET disabled_at = 1 WHERE id = ?').bind(userId).run()
    expect(await refresh(refreshToken)).toMatchObject({ status: 401, slug: 'session-ended' })
  })

  test.each([
    ['idle', 'idle_expires_at'],
    ['absolute', 'expires_at'],
  ])('past the %s expiry nothing refreshes', async (_name, column) => {
    const { refreshToken, sessionId } = await signInRaw(edge, column)
    await edge.db.prepare(`UPDATE sessions SET ${column} = 1 WHERE id = ?`).bind(sessionId).run()
    expect(await refresh(refreshToken)).toMatchObject({ status: 401, slug: 'session-ended' })
  })

  test('a session never refreshes past its absolute end', async () => {
    const { refreshToken, sessionId } = await signInRaw(edge, 'sliding')
    await edge.db
      .prepare('UPDATE sessions SET expires_at = ? WHERE id = ?')
      .bind(Date.now() + 60_000, sessionId)
      .run()
    const { body } = await refresh(refreshToken)
    expect(Date.parse(body.expiresAt as string)).toBeLessThanOrEqual(Date.now() + 60_000)
  })

  test.each(['prt_', 'prt_AAAA', 'nonsense', `prt_${'A'.repeat(60)}`])('garbage %s is refused', async (token) => {
    expect(await refresh(token)).toMatchObject({ status: 401, slug: 'unauthenticated' })
  })

  test('every single flipped character of a token is refused', async () => {
    const { refreshToken } = await signInRaw(edge, 'flip')
    const flipped = Array.from(refreshToken, (c, i) => refreshToken.slice(0, i) + (c === 'A' ? 'B' : 'A') + refreshToken.slice(i + 1))
    const answers = await Promise.all(flipped.map(refresh))
    expect(new Set(answers.map((a) => a.slug))).toEqual(new Set(['unauthenticated']))
    expect((await refresh(refreshToken)).status).toBe(200)
  })
})

describe('logout', () => {
  test('ends the session for refresh at once and for access tokens on this isolate', async () => {
    const { refreshToken, accessToken } = await signInRaw(edge, 'bye')
    const session = () => edge.request('/v1/auth/session', { headers: { authorization: `Bearer ${accessToken}` } })
    expect((await session()).status).toBe(200)
    expect((await post(edge, '/v1/auth/logout', { refreshToken })).status).toBe(204)
    expect((await session()).status).toBe(401)
    expect(await refresh(refreshToken)).toMatchObject({ slug: 'session-ended' })
  })

  test('repeating it succeeds and records one end', async () => {
    const { refreshToken, sessionId } = await signInRaw(edge, 'twice')
    const answers = await Promise.all([1, 2, 3].map(() => post(edge, '/v1/auth/logout', { refreshToken })))
    expect(answers.map((a) => a.status)).toEqual([204, 204, 204])
    const row = await edge.db
      .prepare("SELECT count(*) AS n FROM audit_entries WHERE subject = ? AND action = 'session.end'")
      .bind(sessionId)
      .first()
    expect(row).toEqual({ n: 1 })
  })

  test('racing refreshes and a logout leave nothing that refreshes', async () => {
    const { refreshToken } = await signInRaw(edge, 'both')
    const refreshed = await Promise.all([
      ...Array.from({ length: 10 }, () => refresh(refreshToken)),
      post(edge, '/v1/auth/logout', { refreshToken }),
    ])
    const tokens = refreshed.map((a) => a.body.refreshToken).filter((t) => typeof t === 'string')
    for (const token of [refreshToken, ...tokens]) expect((await refresh(token)).slug).toBe('session-ended')
  })
})

test('a password is checked in full: the last of many characters decides', async () => {
  const { email } = await signInRaw(edge, 'full', `${PASSWORD}${'x'.repeat(200)}y`)
  const login = (password: string) => post(edge, '/v1/auth/login', { email, password })
  expect(await login(`${PASSWORD}${'x'.repeat(200)}z`)).toMatchObject({ status: 401, slug: 'credentials-invalid' })
  expect((await login(`${PASSWORD}${'x'.repeat(200)}y`)).status).toBe(200)
})
