import type { FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { PublicPage } from '../layout.tsx'
import { FRAME_WORDS } from '../words/frame.ts'

/** Nothing is at this address. */
export const MissingPage: FC<{ readonly lang: Locale }> = ({ lang }) => {
  const words = FRAME_WORDS[lang]
  return (
    <PublicPage title={`${words.missingTitle} · Parvis`} lang={lang} layout="narrow">
      <h1>{words.missing}</h1>
      <p class="lede">{words.missingWhy}</p>
      <p class="actions">
        <a class="button" href="/app">
          {words.toDashboard}
        </a>
      </p>
    </PublicPage>
  )
}
