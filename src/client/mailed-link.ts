import { LinkToken } from '../contract/identity.ts'
import { MAILED_PAGES, type MailedLinkKind } from '../contract/mailed-link.ts'

/** A mailed link that has led to your app: what it is for, and the token that proves it. */
export interface MailedLink {
  readonly kind: MailedLinkKind
  readonly token: string
}

/** Reads a mailed link from the URL of a page; nothing where it is none. */
export function mailedLinkOf(url: string | URL): MailedLink | undefined {
  const { pathname, hash } = new URL(url)
  const kind = (Object.keys(MAILED_PAGES) as MailedLinkKind[]).find((each) => MAILED_PAGES[each] === pathname.replace(/\/$/, ''))
  const { data: token } = LinkToken.safeParse(hash.slice(1))
  return kind && token ? { kind, token } : undefined
}

/**
 * Takes a mailed link from the page that it has led to, and its token out of the address bar and the history. Use the token when a person
 * presses a button, not as the page opens: scanners of mail open pages too.
 */
export function takeMailedLink(): MailedLink | undefined {
  const link = mailedLinkOf(location.href)
  if (link) history.replaceState(history.state, '', `${location.pathname}${location.search}`)
  return link
}
