import type { Locale } from '../../contract/identity.ts'

/** Holds the language that the user has chosen; nothing but a language is ever read from it. */
export const LANGUAGE_COOKIE = 'parvis-language'
/** How long a browser remembers it: as long as browsers keep a cookie at most. */
export const LANGUAGE_SECONDS = 400 * 86_400

/** Every language of the pages, by its own name. */
export const LANGUAGES: readonly (readonly [Locale, string])[] = [
  ['en', 'English'],
  ['fr', 'Français'],
]
