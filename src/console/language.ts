import type { Context } from 'hono'
import { accepts } from 'hono/accepts'
import { getCookie, setCookie } from 'hono/cookie'
import { Locale } from '../contract/identity.ts'
import { LANGUAGE_COOKIE, LANGUAGE_SECONDS } from './words/language.ts'

const spoken = (c: Context): Locale =>
  accepts(c, {
    header: 'Accept-Language',
    supports: [...Locale.options],
    default: 'en',
    match(ranges, { supports, default: otherwise }) {
      // The primary subtag decides (RFC 4647 §3.4): whoever reads fr-CA reads fr.
      const wanted = ranges.toSorted((a, b) => b.q - a.q).map(({ type }) => type.toLowerCase().split('-')[0] ?? '')
      return wanted.find((language) => supports.includes(language)) ?? otherwise
    },
  }) as Locale

/** The language of a page: what the address says, which is then remembered, else what the user has chosen, else what the browser asks for. */
export function languageOf(c: Context): Locale {
  const { data: said } = Locale.safeParse(c.req.query('lang'))
  if (said) setCookie(c, LANGUAGE_COOKIE, said, { path: '/', maxAge: LANGUAGE_SECONDS, sameSite: 'Lax', secure: true })
  return said ?? Locale.safeParse(getCookie(c, LANGUAGE_COOKIE)).data ?? spoken(c)
}
