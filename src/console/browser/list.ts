import { byId, show } from './dom.ts'
import { calm, tellTrouble } from './trouble.ts'

/** A page of a list as the API answers it. */
interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor?: string | undefined
}

/** The places of a list on a page. */
export interface ListPlaces {
  readonly list: HTMLElement
  readonly more: HTMLElement
  readonly alert: HTMLElement
  readonly empty?: HTMLElement
  readonly loading?: HTMLElement
}

/** How a list gets its pages and draws one item. */
export interface ListSource<T> {
  readonly load: (query: { cursor?: string }) => Promise<Page<T>>
  readonly row: (item: T) => HTMLElement
}

/** The places that the server rendered for a list of this id. */
export const placesOf = (id: string): ListPlaces => ({
  list: byId(`${id}-list`),
  more: byId(`${id}-more`),
  alert: byId(`${id}-alert`),
  empty: byId(`${id}-empty`),
  loading: byId(`${id}-loading`),
})

/** Shows a list page by page. The answer reloads it from its start. */
export function bindList<T>(places: ListPlaces, { load, row }: ListSource<T>): () => Promise<void> {
  const { list, more, alert, empty, loading } = places
  let newest = 0

  async function fetchPage(cursor?: string): Promise<void> {
    const turn = ++newest
    calm(alert)
    try {
      const { items, nextCursor } = await load(cursor === undefined ? {} : { cursor })
      // An answer that a later question overtook would show the past.
      if (turn !== newest) return
      if (cursor === undefined) list.replaceChildren()
      list.append(...items.map(row))
      show(more, nextCursor !== undefined)
      more.onclick = () => fetchPage(nextCursor)
      if (empty) show(empty, list.childElementCount === 0)
    } catch (error) {
      if (turn === newest) tellTrouble(alert, error)
    }
    if (turn !== newest) return
    if (loading) show(loading, false)
    list.closest('[aria-busy]')?.removeAttribute('aria-busy')
  }

  return () => fetchPage()
}
