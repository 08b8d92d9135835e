import type { Shot } from './load.ts'
import { GUEST, HOME, neighbour, PASSWORD, type Stack, type Tokens } from './stack.ts'
import type { Row } from './table.ts'

const refreshBody = (token: string) => JSON.stringify({ refreshToken: token })

function shotsOf({ url, deviceToken, tokens: { accessToken, refreshToken } }: Stack) {
  const loginBody = (email: string) => JSON.stringify({ email, password: PASSWORD, deviceToken })
  const parvis = url('parvis')
  const headers = { authorization: `Bearer ${accessToken}` }
  let who = 0
  const session: Shot = { name: 'session', url: `${parvis}/v1/auth/session`, headers }
  const me: Shot = { name: 'me', url: `${parvis}/v1/me`, headers }
  const login: Shot = {
    name: 'login',
    url: `${parvis}/v1/auth/login`,
    method: 'POST',
    headers: HOME,
    body: loginBody(neighbour(0)),
    next: () => loginBody(neighbour(++who)),
  }
  const refresh: Shot = {
    name: 'refresh',
    url: `${parvis}/v1/auth/refresh`,
    method: 'POST',
    body: refreshBody(refreshToken),
    next: (answer) => refreshBody((JSON.parse(answer) as Tokens).refreshToken),
  }
  return { session, me, login, refresh }
}

/** Parvis against the least that could do each job. */
export function floorRows(stack: Stack): Row[] {
  const bare = stack.url('bare')
  const { session, me, refresh, login } = shotsOf(stack)
  const empty: Shot = { name: 'empty', url: `${bare}/empty` }
  const hash: Shot = { name: 'hash', url: `${bare}/hash`, method: 'POST' }
  const write: Shot = { name: 'write', url: `${bare}/write`, method: 'POST' }
  return [
    { name: '`GET /v1/auth/session` / an empty Hono route', mine: session, other: empty, by: 'throughput', bar: { ratioMin: 0.6 } },
    { name: '`GET /v1/auth/session`, one connection / the same', mine: session, other: empty, by: 'latency', bar: { p50MsMax: 1 } },
    { name: '`GET /v1/me` / a bare D1 read', mine: me, other: { name: 'read', url: `${bare}/read` }, by: 'throughput', bar: {} },
    { name: '`POST /v1/auth/refresh` / a bare D1 write', mine: refresh, other: write, by: 'latency', bar: { ratioMin: 0.7 } },
    { name: '`POST /v1/auth/login` / the bare hash (time)', mine: login, other: hash, by: 'latency', bar: { ratioMax: 1.15 } },
  ]
}

async function signUpAt(origin: string): Promise<{ readonly headers: Record<string, string> }> {
  const body = JSON.stringify({ email: GUEST, password: PASSWORD, name: 'Bench' })
  const response = await fetch(`${origin}/api/auth/sign-up/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  if (!response.ok) throw new Error(`the peer's sign-up answered ${response.status}: ${await response.text()}`)
  return {
    headers: {
      cookie: response.headers
        .getSetCookie()
        .map((line) => line.split(';')[0])
        .join('; '),
    },
  }
}

/** Each call asks for another address. */
function signUp(name: string, url: string, fields: { readonly name?: string }): Shot {
  let people = 0
  const next = () => JSON.stringify({ email: `${name}-${people++}@example.org`, password: PASSWORD, ...fields })
  return { name: `${name} sign-up`, url, method: 'POST', headers: HOME, body: next(), next }
}

/** Parvis against the auth libraries that run on the same runtime over the same kind of D1. */
export async function peerRows(stack: Stack): Promise<Row[]> {
  const peer = stack.url('better-auth')
  const writing = stack.url('better-auth-writing')
  const { session, refresh, login } = shotsOf(stack)
  const cached = await signUpAt(peer)
  const written = await signUpAt(writing)
  const bar = { ratioMin: 1 }
  const theirSignIn: Shot = {
    name: 'their sign-in',
    url: `${peer}/api/auth/sign-in/email`,
    method: 'POST',
    body: JSON.stringify({ email: GUEST, password: PASSWORD }),
  }
  return [
    {
      name: 'sign up / Better Auth (scrypt)',
      mine: signUp('ours', `${stack.url('parvis')}/v1/auth/register`, {}),
      other: signUp('theirs', `${peer}/api/auth/sign-up/email`, { name: 'Bench' }),
      by: 'latency',
      bar,
    },
    {
      name: 'who am I / Better Auth, session cached in its cookie',
      mine: session,
      other: { name: 'their session', url: `${peer}/api/auth/get-session`, headers: cached.headers },
      by: 'throughput',
      bar,
    },
    {
      name: 'refresh / Better Auth renewing its session',
      mine: refresh,
      other: { name: 'their refresh', url: `${writing}/api/auth/get-session`, headers: written.headers },
      by: 'latency',
      bar,
    },
    { name: 'sign in / Better Auth (scrypt)', mine: login, other: theirSignIn, by: 'latency', bar },
    { name: 'sign in / bcryptjs at cost 12 alone', mine: login, other: { name: 'bcrypt', url: stack.url('bcrypt') }, by: 'latency', bar },
  ]
}
