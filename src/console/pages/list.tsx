import type { Child, FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { Alert } from '../layout.tsx'
import { FRAME_WORDS } from '../words/frame.ts'

interface ListProps {
  /** `<id>-list`, `<id>-empty`, `<id>-more` and `<id>-alert` are what the island fills. */
  readonly id: string
  readonly title: string
  /** What it says while nothing is in it. */
  readonly empty: string
  readonly lang?: Locale | undefined
  /** What stands between its title and its rows. */
  readonly lead?: Child
  readonly children?: Child
}

/** A panel with a list that its island fills. */
export const List: FC<ListProps> = ({ id, title, empty, lang = 'en', lead, children }) => (
  <section class="panel" aria-labelledby={`${id}-title`} id={id} aria-busy="true">
    <h2 id={`${id}-title`}>{title}</h2>
    {lead}
    <Alert id={`${id}-alert`} />
    <ul class="rows" id={`${id}-list`} />
    <p class="empty" id={`${id}-empty`} hidden>
      {empty}
    </p>
    <p class="loading" id={`${id}-loading`}>
      {FRAME_WORDS[lang].loading}
    </p>
    <button type="button" class="quiet small more" id={`${id}-more`} hidden>
      {FRAME_WORDS[lang].more}
    </button>
    {children}
  </section>
)
