import type { FC } from 'hono/jsx'
import type { Locale } from '../contract/identity.ts'
import { FRAME_WORDS } from './words/frame.ts'

/** The bell of the header and the list under it; every page's island fills them. */
export const Bell: FC<{ readonly lang: Locale }> = ({ lang }) => {
  const words = FRAME_WORDS[lang]
  return (
    <>
      <button type="button" class="quiet icon bell" id="bell" popovertarget="notices" aria-label={words.notices} disabled>
        <svg viewBox="0 0 24 24" width="19" height="19" aria-hidden="true">
          <path d="M18 9a6 6 0 1 0-12 0c0 6-2.5 7.5-2.5 7.5h17S18 15 18 9M10 20a2.2 2.2 0 0 0 4 0" />
        </svg>
        <span class="count" id="bell-count" hidden />
      </button>
      <section class="notices" id="notices" popover="auto" aria-labelledby="notices-title">
        <h2 id="notices-title">{words.notices}</h2>
        <button type="button" class="link" id="notices-read" hidden>
          {words.readAll}
        </button>
        <div class="alert" id="notices-alert" role="alert" tabindex={-1} hidden />
        <ul id="notices-list" />
        <p class="empty" id="notices-empty" hidden>
          {words.noNotice}
        </p>
      </section>
      <template id="notice-row">
        <li>
          <a data-slot="text" href="/app">
            …
          </a>
          <time data-slot="at" />
        </li>
      </template>
    </>
  )
}
