import { type Asked, asked, forgetAsked, keepAsked } from './asked.ts'
import { byId, show } from './dom.ts'
import { bindForm, type Entries } from './form.ts'
import { forgetMailedToken, mailedToken } from './mailed-token.ts'

const STEPS = ['ask', 'code', 'link'] as const
type Step = (typeof STEPS)[number]

/** A thing that a mail proves: how it is asked for, and how its code or its link is used. */
export interface MailedThing {
  /** Names it in what the browser remembers. */
  readonly what: string
  /** Nothing where the user thought better of it. */
  readonly ask: (entries: Entries) => Promise<Asked | undefined>
  readonly useCode: (id: string, entries: Entries) => Promise<void>
  readonly useLink: (token: string, entries: Entries) => Promise<void>
}

function showStep(step: Step): void {
  for (const each of STEPS) show(byId(`${each}-step`), each === step)
  byId(`${step}-step`).querySelector('input')?.focus()
}

/** Binds the three forms of a page: ask for a mail, enter its code, use its link. Nothing is sent before somebody presses a button. */
export function bindMailedSteps({ what, ask, useCode, useLink }: MailedThing): void {
  bindForm('ask', async (entries) => {
    const waiting = await ask(entries)
    if (!waiting) return
    keepAsked(what, waiting)
    showStep('code')
  })
  bindForm('code', async (entries) => {
    const waiting = asked(what)
    if (!waiting) return showStep('ask')
    await useCode(waiting.id, entries)
    forgetAsked(what)
  })
  bindForm('link', async (entries) => {
    const token = mailedToken()
    if (!token) return showStep('ask')
    await useLink(token, entries)
    forgetMailedToken()
    forgetAsked(what)
  })
  byId('again').onclick = () => {
    forgetAsked(what)
    showStep('ask')
  }
  showStep(mailedToken() ? 'link' : asked(what) ? 'code' : 'ask')
}
