import type { FC } from 'hono/jsx'
import { PublicPage } from '../layout.tsx'

/** Nothing is at this address. */
export const MissingPage: FC = () => (
  <PublicPage title="Not found · Parvis" layout="narrow">
    <h1>Nothing is here.</h1>
    <p class="lede">The address may be mistyped, or what it named is gone.</p>
    <p class="actions">
      <a class="button" href="/app">
        To the dashboard
      </a>
    </p>
  </PublicPage>
)
