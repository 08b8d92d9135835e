import { createClient, localStorageTokens } from '../../client/client.ts'
import type { Me } from '../../contract/identity.ts'
import { isAllowed } from '../../contract/permission.ts'
import { isProblem, type ProblemSlug } from '../../contract/problem.ts'
import { startBell } from './bell.ts'
import { byId, show } from './dom.ts'
import { adoptLanguage } from './language.ts'
import { tellTrouble } from './trouble.ts'

/** The one client of a page. Tokens live in cookies that no script can read; what is stored is only who is signed in, shared by all tabs. */
export const client = createClient({ origin: location.origin, mode: 'cookie', tokens: localStorageTokens() })

const SIGNED_OUT: readonly ProblemSlug[] = ['unauthenticated', 'session-ended', 'refresh-reused']

/** Whether a failure means that nobody is signed in here any more. */
export const isSignedOut = (error: unknown): boolean => isProblem(error) && SIGNED_OUT.includes(error.slug)

/** Leaves for the sign-in page, which comes back here. */
export const leaveForLogin = (): void => location.replace(`/login?next=${encodeURIComponent(location.pathname)}`)

/** Whether somebody looks after the platform. */
export const isCaretaker = ({ roles }: Me): boolean => isAllowed('users.read', roles)

/** Who is signed in, shown in the header; a stranger is sent to sign in. The promise of a stranger never settles: the page is left. */
export async function openAccount(): Promise<Me> {
  const button = byId('sign-out', HTMLButtonElement)
  try {
    const me = await client.getMe()
    byId('who').textContent = me.email
    byId('who').title = me.email
    adoptLanguage(me.locale)
    show(byId('to-admin'), isCaretaker(me))
    button.disabled = false
    client.on('signedOut', ({ cause }) => cause === 'logout' || isLeaving || leaveForLogin())
    button.onclick = signOut
    startBell(client)
    return me
  } catch (error) {
    if (!isSignedOut(error)) throw error
    leaveForLogin()
    return new Promise(() => undefined)
  }
}

/** Whether the user ends the session here, which the service may tell before it answers. */
let isLeaving = false

/** Does what ends the session of this browser, and leaves for the front page. */
export async function leaveBy(end: () => Promise<unknown>): Promise<void> {
  isLeaving = true
  try {
    await end()
    location.assign('/')
  } catch (error) {
    isLeaving = false
    throw error
  }
}

/** Ends the session of this browser. If the service cannot be reached the user must know that it lives on. */
async function signOut(): Promise<void> {
  const button = byId('sign-out', HTMLButtonElement)
  button.disabled = true
  try {
    await leaveBy(() => client.logout())
  } catch (error) {
    button.disabled = false
    tellTrouble(byId('page-alert'), error)
  }
}
