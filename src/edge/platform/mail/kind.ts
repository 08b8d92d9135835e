import type { Locale } from '../../../contract/identity.ts'

/**
 * One part of a mail's body: a paragraph, the code, the link as a button with this label, or facts in a list.
 * Texts may hold `{product}`, `{term}`, `{device}`, `{place}`, `{time}`, `{factor}`, `{keys}`, `{passkeys}` and `{app}`, which are
 * filled in.
 */
export type Block =
  | string
  | { readonly show: 'code' }
  | { readonly link: string }
  | { readonly facts: readonly (readonly [label: string, value: string])[] }

/** A mail in one language. */
export interface Words {
  readonly subject: string
  readonly heading: string
  readonly body: readonly Block[]
}

/** A mail in every language; all of them show the same parts in the same order. */
export type Kind = Readonly<Record<Locale, Words>>

/** Where the code stands. */
export const CODE: Block = { show: 'code' }

/** Whether a mail of this kind needs a code. */
export const needsCode = ({ en }: Kind): boolean => en.body.some((block) => typeof block === 'object' && 'show' in block)

/** Whether a mail of this kind needs a link. */
export const needsLink = ({ en }: Kind): boolean => en.body.some((block) => typeof block === 'object' && 'link' in block)
