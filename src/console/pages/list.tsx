import type { Child, FC } from 'hono/jsx'
import { Alert } from '../layout.tsx'

interface ListProps {
  /** `<id>-list`, `<id>-empty`, `<id>-more` and `<id>-alert` are what the island fills. */
  readonly id: string
  readonly title: string
  /** What it says while nothing is in it. */
  readonly empty: string
  readonly children?: Child
}

/** A panel with a list that its island fills. */
export const List: FC<ListProps> = ({ id, title, empty, children }) => (
  <section class="panel" aria-labelledby={`${id}-title`} id={id} aria-busy="true">
    <h2 id={`${id}-title`}>{title}</h2>
    <Alert id={`${id}-alert`} />
    <ul class="rows" id={`${id}-list`} />
    <p class="empty" id={`${id}-empty`} hidden>
      {empty}
    </p>
    <p class="loading" id={`${id}-loading`}>
      Loading…
    </p>
    <button type="button" class="quiet small more" id={`${id}-more`} hidden>
      Show more
    </button>
    {children}
  </section>
)
