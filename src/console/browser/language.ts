import type { Locale } from '../../contract/identity.ts'
import { LANGUAGE_COOKIE, LANGUAGE_SECONDS } from '../words/language.ts'
import { pageLanguage } from './words.ts'

/** Has the next pages written in a language, as far as they can be. */
export function speak(locale: Locale): void {
  // biome-ignore lint/suspicious/noDocumentCookie: the CookieStore interface is younger than the browsers we support.
  document.cookie = `${LANGUAGE_COOKIE}=${locale}; Path=/; Max-Age=${LANGUAGE_SECONDS}; SameSite=Lax; Secure`
}

/** Has the pages written in the language of the user who is signed in, unless the address names another. */
export function adoptLanguage(locale: Locale): void {
  if (locale === pageLanguage() || new URLSearchParams(location.search).has('lang')) return
  speak(locale)
  if (document.querySelector(`link[rel="alternate"][hreflang="${locale}"]`)) location.reload()
}
