import type { Child, FC } from 'hono/jsx'
import type { Locale } from '../contract/identity.ts'
import { PAGE_WORDS } from './words.ts'

interface DocumentProps {
  readonly title: string
  readonly lang?: Locale | undefined
  /** Name of the page's script in `islands/`. */
  readonly island?: string | undefined
  /** One class for the body where a page lays itself out in its own way. */
  readonly layout?: 'reading' | 'narrow' | 'wide' | 'full' | undefined
  readonly header: Child
  readonly children: Child
}

const Document: FC<DocumentProps> = ({ title, lang = 'en', island, layout = 'reading', header, children }) => (
  <html lang={lang}>
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="theme-color" content="#fbfbf9" media="(prefers-color-scheme: light)" />
      <meta name="theme-color" content="#151716" media="(prefers-color-scheme: dark)" />
      <title>{title}</title>
      <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
      <link rel="stylesheet" href="/assets/console.css" />
      {/* Modules run in the order of the document. */}
      {island && ['strict', island].map((name) => <script type="module" src={`/assets/console/${name}.js`} />)}
    </head>
    <body class={layout}>
      <a class="skip" href="#main">
        {PAGE_WORDS[lang].skip}
      </a>
      {header}
      {children}
    </body>
  </html>
)

const Brand: FC<{ readonly href: string }> = ({ href }) => (
  <a class="brand" href={href}>
    <img src="/assets/icon.svg" alt="" width="26" height="26" />
    Parvis
  </a>
)

interface PageProps {
  readonly title: string
  readonly island?: string | undefined
  readonly layout?: DocumentProps['layout']
  readonly children: Child
}

/** A page anybody may see. */
export const PublicPage: FC<PageProps> = ({ title, children, ...rest }) => {
  const header = (
    <header class="top">
      <Brand href="/" />
      <nav aria-label="Main">
        <a href="/docs">API</a>
        <a href="/login">Sign in</a>
      </nav>
    </header>
  )
  return (
    <Document title={title} header={header} {...rest}>
      <main id="main">{children}</main>
      <Footer />
    </Document>
  )
}

interface MailedPageProps {
  readonly title: string
  readonly lang: Locale
  readonly island: string
  readonly children: Child
}

/** A page that a mail leads to, in the language of the mail. */
export const MailedPage: FC<MailedPageProps> = ({ title, lang, island, children }) => {
  const header = (
    <header class="top">
      <Brand href="/" />
      <nav aria-label="Parvis">
        <a href="/login">{PAGE_WORDS[lang].signIn}</a>
      </nav>
    </header>
  )
  return (
    <Document title={`${title} · Parvis`} lang={lang} island={island} layout="narrow" header={header}>
      <main id="main">
        <h1 tabindex={-1}>{title}</h1>
        <noscript>
          <p class="notice">{PAGE_WORDS[lang].scripts}</p>
        </noscript>
        <Alert id="page-alert" />
        {children}
      </main>
    </Document>
  )
}

const Footer: FC = () => (
  <footer class="foot">
    <nav aria-label="For programs">
      <a href="/docs">API reference</a>
      <a href="/v1/openapi.json">OpenAPI</a>
      <a href="/.well-known/jwks.json">Signing keys</a>
      <a href="/health/ready">Health</a>
    </nav>
  </footer>
)

/** A page of a signed-in user. The island fills in who that is; until then the page only says that it is loading. */
export const AppPage: FC<PageProps> = ({ title, children, ...rest }) => {
  const header = (
    <header class="top">
      <Brand href="/app" />
      <nav aria-label="Main">
        <a href="/app">Dashboard</a>
        <a href="/app/account">Account</a>
        <a href="/docs">API</a>
        <span class="who" id="who" />
        <button type="button" class="quiet small" id="sign-out" disabled>
          Sign out
        </button>
      </nav>
    </header>
  )
  return (
    <Document title={`${title} · Parvis`} header={header} {...rest}>
      <main id="main">
        <NeedsScripts />
        <Alert id="page-alert" />
        {children}
      </main>
    </Document>
  )
}

/** Where a problem is told; assistive technology reads it out as soon as it is filled. */
export const Alert: FC<{ readonly id: string }> = ({ id }) => <div class="alert" id={id} role="alert" tabindex={-1} hidden />

/** Says why nothing works in a browser without scripts. */
export const NeedsScripts: FC = () => (
  <noscript>
    <p class="notice">The console talks to the API from your browser, so it needs scripts.</p>
  </noscript>
)

/** The way back from a page that has nothing to show. */
export const Lost: FC = () => (
  <p class="lost" id="page-lost" hidden>
    <a class="button quiet" href="/app">
      To the dashboard
    </a>
  </p>
)
