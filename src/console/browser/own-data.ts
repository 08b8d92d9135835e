import type { Activity } from '../../contract/audit.ts'
import { Locale, type Me } from '../../contract/identity.ts'
import { isProblem } from '../../contract/problem.ts'
import { client, leaveBy } from './account.ts'
import { actionSaid, causeSaid } from './activity-words.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { byId, filled, show, showMoment } from './dom.ts'
import { bindForm } from './form.ts'
import { speak } from './language.ts'
import { bindList, placesOf } from './list.ts'
import { withStepUp } from './step-up.ts'
import { pageLanguage, said } from './words.ts'

/** Shows the profile and saves what is changed in it, unless it was changed elsewhere meanwhile: then what is there now is shown. */
export function startProfile(first: Me): void {
  let shown = first
  const name = byId('profile-displayName', HTMLInputElement)
  const locale = byId('profile-locale', HTMLSelectElement)
  const draw = (me: Me) => {
    shown = me
    name.value = me.displayName ?? ''
    locale.value = me.locale
  }
  draw(first)
  bindForm('profile', async ({ displayName = null, locale: chosen }) => {
    show(byId('profile-note'), false)
    try {
      draw(await client.updateMe({ ifMatch: shown.etag, body: { displayName, locale: Locale.parse(chosen) } }))
      speak(shown.locale)
      show(byId('profile-note'), true)
    } catch (error) {
      if (isProblem(error) && error.slug === 'precondition-failed') draw(await client.getMe())
      throw error
    }
  })
}

const BY = { you: () => '', anonymous: () => said().byNobody, system: () => said().bySystem, other: () => said().bySomebody } as const

function row({ action, by, cause, country, at }: Activity): HTMLElement {
  const language = pageLanguage()
  const from = [cause && causeSaid(cause, language), country, BY[by]()].filter(Boolean).join(' · ')
  const piece = filled('activity-row', { action: actionSaid(action, language), from })
  showMoment(piece.slot('at'), at)
  return piece.root
}

/** What happened to the account. The answer reloads it. */
export const startActivity = (): (() => Promise<void>) =>
  bindList(placesOf('activity'), { load: (query) => client.listMyActivity({ query: { ...query, limit: 20 } }), row })

function save(name: string, data: object): void {
  const url = URL.createObjectURL(new Blob([JSON.stringify(data, undefined, 2)], { type: 'application/json' }))
  Object.assign(document.createElement('a'), { href: url, download: name }).click()
  URL.revokeObjectURL(url)
}

/** Lets the user take everything along, or leave for good. */
export function startData(): void {
  const alert = byId('data-alert')
  const [take, leave] = [byId('export', HTMLButtonElement), byId('delete-account', HTMLButtonElement)]
  for (const button of [take, leave]) button.disabled = false
  bindButton(take, alert, () => withStepUp(async () => save('parvis-account.json', await client.exportMe())))
  bindDangerButton(leave, alert, () =>
    withStepUp(() =>
      leaveBy(async () => {
        await client.deleteMe()
        // The session is over already; this makes the other tabs of this browser notice.
        await client.logout()
      }),
    ),
  )
}
