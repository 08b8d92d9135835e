import { isProblem, Problem, type ProblemExtras, type ProblemSlug } from '../../contract/problem.ts'

/** What a Durable Object method answers: a value, or an expected failure as data. */
export type Sealed<T> = { readonly value: T } | { readonly slug: ProblemSlug; readonly extras: ProblemExtras }

/** Runs in the object: expected failures leave as data, so only bugs count as exceptions there. */
export async function seal<T>(work: () => T | Promise<T>): Promise<Sealed<T>> {
  try {
    return { value: await work() }
  } catch (e) {
    if (!isProblem(e)) throw e
    return { slug: e.slug, extras: e.extras }
  }
}

/** Runs in the caller: the failure is thrown again where the request can answer it. */
export async function open<T>(sealed: Promise<Sealed<T>>): Promise<T> {
  const s = await sealed
  if ('slug' in s) throw new Problem(s.slug, s.extras)
  return s.value
}
