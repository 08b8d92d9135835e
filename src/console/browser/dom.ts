import { dateLocale, said } from './words.ts'

/** The element of an id that the page promises; its absence is a bug of the page. */
export function byId<T extends HTMLElement = HTMLElement>(id: string, kind?: abstract new (...args: never[]) => T): T {
  const found = document.getElementById(id)
  if (!found || (kind && !(found instanceof kind))) throw new Error(`the page lacks #${id}`)
  return found as T
}

/** One copy of a template and its named places. */
export interface Piece {
  readonly root: HTMLElement
  readonly slot: <T extends HTMLElement = HTMLElement>(name: string) => T
}

/** A fresh copy of the markup the server rendered once. Text goes in by `textContent`, so nothing fetched is ever markup. */
export function copyOf(templateId: string): Piece {
  const root = byId(templateId, HTMLTemplateElement).content.firstElementChild?.cloneNode(true)
  if (!(root instanceof HTMLElement)) throw new Error(`#${templateId} is empty`)
  const slot = <T extends HTMLElement>(name: string): T => {
    const found = root.querySelector<T>(`[data-slot="${name}"]`)
    if (!found) throw new Error(`#${templateId} lacks ${name}`)
    return found
  }
  return { root, slot }
}

/** Control characters and turns of direction are written out, so that nothing fetched hides or turns what stands beside it. */
export const plain = (text: string): string =>
  text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (one) =>
    one === '\n' || one === '\t' ? one : `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** A piece whose slots of these names show these texts. */
export function filled(templateId: string, texts: Readonly<Record<string, string>>): Piece {
  const piece = copyOf(templateId)
  for (const [name, text] of Object.entries(texts)) piece.slot(name).textContent = plain(text)
  return piece
}

/** Shows or hides by the `hidden` attribute. */
export const show = (element: HTMLElement, isShown: boolean): void => void element.toggleAttribute('hidden', !isShown)

/** Writes a moment as a short local date; the whole of it is the title. */
export function showMoment(element: HTMLElement, moment: string): void {
  const at = new Date(moment)
  const isToday = at.toDateString() === new Date().toDateString()
  element.setAttribute('datetime', moment)
  element.title = at.toLocaleString(dateLocale(), { dateStyle: 'long', timeStyle: 'medium' })
  element.textContent = isToday
    ? at.toLocaleTimeString(dateLocale(), { timeStyle: 'short' })
    : at.toLocaleDateString(dateLocale(), { dateStyle: 'medium' })
}

/** Opens a dialog of the page; every `data-close` inside closes it, and so does a click beside it. */
export function openDialog(id: string): HTMLDialogElement {
  const dialog = byId(id, HTMLDialogElement)
  for (const button of dialog.querySelectorAll<HTMLButtonElement>('[data-close]')) button.onclick = () => dialog.close()
  dialog.onclick = ({ target }) => {
    if (target === dialog) dialog.close()
  }
  if (!dialog.open) dialog.showModal()
  return dialog
}

/** Copies a text and says so on the button for a moment. */
export async function copyText(button: HTMLButtonElement, text: string): Promise<void> {
  const label = button.dataset['label'] ?? button.textContent ?? ''
  button.dataset['label'] = label
  await navigator.clipboard.writeText(text)
  button.textContent = said().copied
  setTimeout(() => {
    button.textContent = label
  }, 1500)
}
