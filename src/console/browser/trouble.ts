import { ContractError, NetworkError } from '../../client/client.ts'
import { isProblem, type Problem } from '../../contract/problem.ts'
import { byId, show } from './dom.ts'
import { detailSaid, said } from './words.ts'

/** What a failure says to a person. */
export interface Trouble {
  readonly title: string
  readonly more: readonly string[]
  readonly traceId: string | undefined
}

/** Words for anything thrown: a problem speaks for itself, a broken network is named, a bug admits it. */
export function troubleOf(error: unknown): Trouble {
  const words = said()
  const plain = (title: string, ...more: string[]): Trouble => ({ title, more, traceId: undefined })
  if (isProblem(error)) return ofProblem(error)
  if (error instanceof NetworkError) return { ...plain(words.unreachable, words.checkConnection), traceId: error.traceId }
  if (error instanceof DOMException && error.name === 'InvalidStateError') return plain(words.passkeyKnown)
  if (error instanceof DOMException && error.name === 'NotAllowedError') return plain(words.passkeyUnused, words.passkeyUnusedWhy)
  if (error instanceof ContractError) return plain(words.misfit, words.reload)
  return plain(words.problems.internal)
}

function ofProblem({ slug, extras }: Problem): Trouble {
  const { detail, errors = [], retryAfterSeconds, traceId } = extras
  return {
    title: said().problems[slug],
    more: [
      ...(detail ? [detailSaid(detail)] : []),
      ...errors.map((fault) => `${fault.pointer.split('/').at(-1) ?? ''}: ${detailSaid(fault.detail)}`),
      ...(retryAfterSeconds ? [`${said().tryAgainIn} ${waitOf(retryAfterSeconds)}.`] : []),
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
