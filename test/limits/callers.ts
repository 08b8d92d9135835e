import { expect } from 'vitest'
import { type Edge, PASSWORD } from '../harness.ts'
import { type Answer, post } from '../identity/raw.ts'

/** What the edge says of where a call comes from; the local one lets a test say it. */
export const from = (ip: string) => ({ 'cf-connecting-ip': ip })

/** Addresses that nothing else in a file has used: each in a network of its own. */
export function freshPlaces(): () => string {
  let count = 0
  return () => `2001:db8:${(++count).toString(16)}::1`
}

/** Tries to sign in from an address. */
export const signIn = (edge: Edge, email: string, { ip, password = PASSWORD }: { readonly ip: string; readonly password?: string }) =>
  post(edge, '/v1/auth/login', { email, password }, from(ip))

/** A guess at a password. */
export const guess = (edge: Edge, email: string, ip: string) => signIn(edge, email, { ip, password: 'a wrong but long guess' })

/** So many things at once. */
export const atOnce = <T>(count: number, work: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)))

/** How many answers there are of each status. */
export const tally = (answers: readonly Answer[]): Record<number, number> =>
  Object.fromEntries([...Map.groupBy(answers, (a) => a.status)].map(([status, same]) => [status, same.length]))

/** What a refusal says, checked for saying it in every way it must. */
export function refusalOf(answer: Answer) {
  expect(answer).toMatchObject({ status: 429, slug: 'rate-limited' })
  const seconds = Number(answer.headers.get('retry-after'))
  const [, policy, quota, window] = /^"([a-z-]+)";q=(\d+);w=(\d+)/.exec(answer.headers.get('ratelimit-policy') ?? '') ?? []
  const [, named, left, reset] = /^"([a-z-]+)";r=(\d+);t=(\d+)/.exec(answer.headers.get('ratelimit') ?? '') ?? []
  expect(seconds).toBeGreaterThan(0)
  expect({ named, left, reset: Number(reset) }).toEqual({ named: policy, left: '0', reset: seconds })
  return { policy, quota: Number(quota), windowSeconds: Number(window), seconds }
}

/** Waits as long as an answer asked for, and not a moment more. */
export const waitAsTold = (answer: Answer): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Number(answer.headers.get('retry-after')) * 1000))
