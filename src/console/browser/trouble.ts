import { ContractError, NetworkError } from '../../client/client.ts'
import { isProblem, PROBLEMS, type Problem, type ProblemSlug } from '../../contract/problem.ts'
import { byId, show } from './dom.ts'

/** What a failure says to a person. */
export interface Trouble {
  readonly title: string
  readonly more: readonly string[]
  readonly traceId: string | undefined
}

/** Words for anything thrown: a problem speaks for itself, a broken network is named, a bug admits it. */
export function troubleOf(error: unknown): Trouble {
  if (isProblem(error)) return ofProblem(error)
  if (error instanceof NetworkError) return { title: error.message, more: ['Check your connection and try again.'], traceId: error.traceId }
  if (error instanceof DOMException && error.name === 'InvalidStateError')
    return { title: 'This device already has a passkey of yours.', more: [], traceId: undefined }
  if (error instanceof DOMException && error.name === 'NotAllowedError')
    return { title: 'No passkey was used.', more: ['It was declined, took too long, or this device has none.'], traceId: undefined }
  if (error instanceof ContractError)
    return { title: 'This page and the service do not fit.', more: ['Reload the page.'], traceId: undefined }
  return { title: PROBLEMS.internal.title, more: [], traceId: undefined }
}

/** What people meet on the pages that mails lead to, for those that are in French. */
const FRENCH: Partial<Record<ProblemSlug, string>> = {
  'code-invalid': 'Ce code ou ce lien est faux, déjà utilisé ou expiré.',
  'invalid-request': 'Cette saisie ne convient pas.',
  'rate-limited': 'Trop de tentatives\u00a0: attendez avant de réessayer.',
  'session-ended': 'Cette session est terminée\u00a0: reconnectez-vous.',
  conflict: 'Un autre compte a déjà cette adresse.',
  'limit-reached': 'Une limite est atteinte\u00a0: il faut d’abord retirer quelque chose.',
  'not-found': 'Il n’y a rien ici pour vous.',
  internal: 'Une erreur s’est produite de notre côté.',
  unavailable: 'Un service nécessaire ne répond pas\u00a0: réessayez bientôt.',
}

const titleOf = (slug: ProblemSlug): string => (document.documentElement.lang === 'fr' ? FRENCH[slug] : undefined) ?? PROBLEMS[slug].title

function ofProblem({ slug, extras }: Problem): Trouble {
  const { detail, errors = [], retryAfterSeconds, traceId } = extras
  return {
    title: titleOf(slug),
    more: [
      ...(detail ? [detail] : []),
      ...errors.map((fault) => `${fault.pointer.split('/').at(-1) ?? ''}: ${fault.detail}`),
      ...(retryAfterSeconds ? [`Try again in ${waitOf(retryAfterSeconds)}.`] : []),
    ],
    traceId,
  }
}

const waitOf = (seconds: number): string => (seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`)

/** Tells a failure in an alert of the page, with the trace id to quote. */
export function tellTrouble(alert: HTMLElement, error: unknown): void {
  const { title, more, traceId } = troubleOf(error)
  const lines = [Object.assign(document.createElement('strong'), { textContent: title })]
  const rest = more.map((text) => Object.assign(document.createElement('div'), { textContent: text }))
  const trace = traceId ? [Object.assign(document.createElement('code'), { className: 'trace', textContent: `Trace ${traceId}` })] : []
  alert.replaceChildren(...lines, ...rest, ...trace)
  show(alert, true)
}

/** Takes back what an alert told. */
export function calm(alert: HTMLElement): void {
  show(alert, false)
  alert.replaceChildren()
}

/** Tells why a page has nothing to show, and puts the way back in its place. */
export function tellLost(error: unknown): void {
  tellTrouble(byId('page-alert'), error)
  show(byId('page'), false)
  show(byId('page-lost'), true)
}
