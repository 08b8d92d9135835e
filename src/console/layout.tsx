import type { Child, FC } from 'hono/jsx'
import type { Locale } from '../contract/identity.ts'
import { Bell } from './bell.tsx'
import { FRAME_WORDS } from './words/frame.ts'
import { LANGUAGES } from './words/language.ts'

interface DocumentProps {
  readonly title: string
  /** Given by pages that are written in every language, which then offer the others. */
  readonly lang?: Locale | undefined
  /** Name of the page's script in `islands/`. */
  readonly island?: string | undefined
  /** One class for the body where a page lays itself out in its own way. */
  readonly layout?: 'reading' | 'narrow' | 'wide' | 'full' | undefined
  readonly header: Child
  readonly children: Child
}

const Document: FC<DocumentProps> = ({ title, lang, island, layout = 'reading', header, children }) => (
  <html lang={lang ?? 'en'}>
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="theme-color" content="#fbfbf9" media="(prefers-color-scheme: light)" />
      <meta name="theme-color" content="#151716" media="(prefers-color-scheme: dark)" />
      <title>{title}</title>
      {lang && LANGUAGES.map(([other]) => <link rel="alternate" hreflang={other} href={`?lang=${other}`} />)}
      <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
      <link rel="stylesheet" href="/assets/console.css" />
      {/* Modules run in the order of the document. */}
      {island && ['strict', island].map((name) => <script type="module" src={`/assets/console/${name}.js`} />)}
    </head>
    <body class={layout}>
      <a class="skip" href="#main">
        {FRAME_WORDS[lang ?? 'en'].skip}
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
  /** Given by pages that are written in every language, which then offer the others. */
  readonly lang?: Locale | undefined
  readonly children: Child
}

/** Leads to the same page in the other languages. */
const Languages: FC<{ readonly lang: Locale | undefined }> = ({ lang }) => (
  <>
    {LANGUAGES.filter(([other]) => lang !== undefined && other !== lang).map(([other, name]) => (
      <a href={`?lang=${other}`} lang={other} hreflang={other} rel="alternate">
        {name}
      </a>
    ))}
  </>
)

const PublicHeader: FC<{ readonly lang: Locale | undefined; readonly children?: Child }> = ({ lang, children }) => (
  <header class="top">
    <Brand href="/" />
    <nav aria-label={FRAME_WORDS[lang ?? 'en'].main}>
      {children}
      <Languages lang={lang} />
      <a href="/login">{FRAME_WORDS[lang ?? 'en'].signIn}</a>
    </nav>
  </header>
)

/** A page anybody may see. */
export const PublicPage: FC<PageProps> = ({ title, lang, children, ...rest }) => {
  const header = (
    <PublicHeader lang={lang}>
      <a href="/docs">API</a>
    </PublicHeader>
  )
  return (
    <Document title={title} lang={lang} header={header} {...rest}>
      <main id="main">{children}</main>
      <Footer lang={lang} />
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
export const MailedPage: FC<MailedPageProps> = ({ title, lang, island, children }) => (
  <Document title={`${title} · Parvis`} lang={lang} island={island} layout="narrow" header={<PublicHeader lang={lang} />}>
    <main id="main">
      <h1 tabindex={-1}>{title}</h1>
      <NeedsScripts lang={lang} />
      <Alert id="page-alert" />
      {children}
    </main>
  </Document>
)

const Footer: FC<{ readonly lang: Locale | undefined }> = ({ lang = 'en' }) => (
  <footer class="foot">
    <nav aria-label={FRAME_WORDS[lang].forPrograms}>
      <a href="/docs">{FRAME_WORDS[lang].reference}</a>
      <a href="/v1/openapi.json">OpenAPI</a>
      <a href="/.well-known/jwks.json">{FRAME_WORDS[lang].signingKeys}</a>
      <a href="/health/ready">{FRAME_WORDS[lang].health}</a>
    </nav>
  </footer>
)

/** A page of a signed-in user. The island fills in who that is; until then the page only says that it is loading. */
export const AppPage: FC<PageProps> = ({ title, lang, children, ...rest }) => {
  const words = FRAME_WORDS[lang ?? 'en']
  const header = (
    <header class="top">
      <Brand href="/app" />
      <nav aria-label={words.main}>
        <a href="/app">{words.dashboard}</a>
        <a href="/app/account">{words.account}</a>
        <a href="/app/admin" id="to-admin" hidden>
          Admin
        </a>
        <a href="/docs">API</a>
        <span class="who" id="who" />
        <Bell lang={lang ?? 'en'} />
        <button type="button" class="quiet small" id="sign-out" disabled>
          {words.signOut}
        </button>
      </nav>
    </header>
  )
  return (
    <Document title={`${title} · Parvis`} lang={lang} header={header} {...rest}>
      <main id="main">
        <NeedsScripts lang={lang} />
        <Alert id="page-alert" />
        {children}
      </main>
    </Document>
  )
}

/** Where a problem is told; assistive technology reads it out as soon as it is filled. */
export const Alert: FC<{ readonly id: string }> = ({ id }) => <div class="alert" id={id} role="alert" tabindex={-1} hidden />

/** Says why nothing works in a browser without scripts. */
export const NeedsScripts: FC<{ readonly lang?: Locale | undefined }> = ({ lang = 'en' }) => (
  <noscript>
    <p class="notice">{FRAME_WORDS[lang].scripts}</p>
  </noscript>
)

/** The way back from a page that has nothing to show. */
export const Lost: FC<{ readonly lang?: Locale | undefined }> = ({ lang = 'en' }) => (
  <p class="lost" id="page-lost" hidden>
    <a class="button quiet" href="/app">
      {FRAME_WORDS[lang].toDashboard}
    </a>
  </p>
)
