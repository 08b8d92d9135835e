import { LinkToken } from '../../contract/identity.ts'

const KEY = 'parvis.link'

/** The token of the link that led to this page. It leaves the address bar at once; a reload, and a sign-in on the way, still find it. */
export function mailedToken(): string | undefined {
  const key = `${KEY}:${location.pathname}`
  if (location.hash) {
    const { data } = LinkToken.safeParse(location.hash.slice(1))
    if (data) sessionStorage.setItem(key, data)
    history.replaceState(null, '', `${location.pathname}${location.search}`)
  }
  return LinkToken.safeParse(sessionStorage.getItem(key)).data
}

// Another link opened over this page changes its fragment alone.
addEventListener('hashchange', () => location.reload())

/** Forgets it, once it is used or has turned out to be useless. */
export const forgetMailedToken = (): void => sessionStorage.removeItem(`${KEY}:${location.pathname}`)
