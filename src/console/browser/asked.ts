const KEY = 'parvis.asked'

/** Something this browser had mailed: what it was, under which id, until when. */
export interface Asked {
  readonly id: string
  readonly expiresAt: string
}

/** Remembers what was asked for, for every tab: the mailed link opens another one. */
export const keepAsked = (what: string, asked: Asked): void => localStorage.setItem(`${KEY}.${what}`, JSON.stringify(asked))

/** What was asked for and can still be used. */
export function asked(what: string): Asked | undefined {
  try {
    const found = JSON.parse(localStorage.getItem(`${KEY}.${what}`) ?? 'null') as Partial<Asked> | null
    if (typeof found?.id === 'string' && Date.parse(found.expiresAt ?? '') > Date.now()) return found as Asked
  } catch {
    // Whatever another version of this page left there.
  }
  forgetAsked(what)
  return undefined
}

/** Forgets it. */
export const forgetAsked = (what: string): void => localStorage.removeItem(`${KEY}.${what}`)
