import type { FC } from 'hono/jsx'
import { PublicPage } from '../layout.tsx'
import { Forecourt } from './forecourt.tsx'

const sample = (origin: string) => `import { createClient } from 'parvis/client'

const parvis = createClient({ origin: '${origin}' })
await parvis.login({ body: { email, password } })
const { id } = await parvis.createRoom({ body: { name: 'Minutes' } })
const { doc } = await parvis.rooms.join(id) // a Yjs document, live`

/** What Parvis is, in a few lines, and where to go from here. */
export const LandingPage: FC<{ readonly origin: string }> = ({ origin }) => (
  <PublicPage title="Parvis: the forecourt of your applications" layout="wide">
    <section class="hero">
      <div>
        <h1>The forecourt of your applications.</h1>
        <p class="lede">
          Parvis is an open-source backend that a team deploys once to Cloudflare’s edge. It stands in front of all its applications and
          gives them identity, realtime rooms and audited remote shells.
        </p>
        <p class="actions">
          <a class="button" href="/register">
            Create an account
          </a>
          <a class="button quiet" href="/login">
            Sign in
          </a>
        </p>
      </div>
      <Forecourt />
    </section>
    <section class="pillars" aria-label="What it gives">
      <article>
        <h2>Identity</h2>
        <p>
          Proven addresses, Argon2id, short-lived tokens. A refresh that converges: racing tabs and lost answers sign nobody out, a stolen
          token ends the session.
        </p>
      </article>
      <article>
        <h2>Rooms</h2>
        <p>One shared document per room, with roles and read-only seats that the server enforces. Any Yjs editor joins unmodified.</p>
      </article>
      <article>
        <h2>Shells</h2>
        <p>
          SSH from the browser to hosts whose keys were compared by a person. The shell outlives a closed laptop, and credentials are sealed
          to the relay alone.
        </p>
      </article>
    </section>
    <section class="sample" aria-labelledby="sample-title">
      <div>
        <h2 id="sample-title">One import</h2>
        <p>
          The same contract gives the server its checks, the typed client its methods and the <a href="/docs">API reference</a> its pages.
          Everything this console does, your program can do.
        </p>
      </div>
      {/* A region that scrolls must be reachable by keyboard. */}
      <pre tabindex={0}>
        <code>{sample(origin)}</code>
      </pre>
    </section>
  </PublicPage>
)
