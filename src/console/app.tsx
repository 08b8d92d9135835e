import type { Context } from 'hono'
import { type Env, Hono } from 'hono'
import type { Child } from 'hono/jsx'
import { OrgId } from '../contract/orgs.ts'
import { RoomId } from '../contract/rooms.ts'
import { ShellId } from '../contract/shell.ts'
import { pagePolicy, type Styles } from './headers.ts'
import { languageOf } from './language.ts'
import { AccountPage } from './pages/account.tsx'
import { AdminPage } from './pages/admin.tsx'
import { DashboardPage } from './pages/dashboard.tsx'
import { FactorPage } from './pages/factor.tsx'
import { HooksPage } from './pages/hooks.tsx'
import { LandingPage } from './pages/landing.tsx'
import { LoginPage } from './pages/login.tsx'
import { ConfirmPage, EmailPage, InvitationPage, MailLoginPage, ResetPage, RestorePage } from './pages/mailed.tsx'
import { MissingPage } from './pages/missing.tsx'
import { RecordingPage } from './pages/recording.tsx'
import { RecordsPage } from './pages/records.tsx'
import { RegisterPage } from './pages/register.tsx'
import { RoomPage } from './pages/room.tsx'
import { RunsPage } from './pages/runs.tsx'
import { ShellPage } from './pages/shell.tsx'

/** What the console leaves for the one who logs the request: the route template, never the URL. */
interface ConsoleEnv {
  readonly Variables: { route: string }
}

interface Answer {
  readonly route: string
  readonly status?: 200 | 404
  readonly styles?: Styles
}

function answerPage(c: Context<ConsoleEnv>, page: Child, { route, status = 200, styles = 'own' }: Answer): Response {
  c.set('route', route)
  return c.body(`<!doctype html>${page}`, status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': pagePolicy(styles),
  })
}

const missing = (c: Context<ConsoleEnv>, route: string) => answerPage(c, <MissingPage lang={languageOf(c)} />, { route, status: 404 })

/** What mails lead to. A GET or HEAD shows the page and uses nothing: the token is in the fragment, which is not even sent. */
const MAILED = {
  '/register/confirm': ConfirmPage,
  '/login/mail': MailLoginPage,
  '/password/reset': ResetPage,
  '/app/email': EmailPage,
  '/account/restore': RestorePage,
  '/app/invitation': InvitationPage,
} as const

/**
 * The pages hold nothing personal: they are the same for everybody of a language and ask the API for nothing; the one cookie they read
 * names that language.
 * What a user may see is fetched by the islands, so no page can be made to show one user what is another's.
 */
function makePages(): Hono<ConsoleEnv> {
  const pages = new Hono<ConsoleEnv>()
  pages.get('/', (c) => answerPage(c, <LandingPage origin={new URL(c.req.url).origin} />, { route: '/' }))
  pages.get('/register', (c) => answerPage(c, <RegisterPage lang={languageOf(c)} />, { route: '/register' }))
  pages.get('/login', (c) => answerPage(c, <LoginPage lang={languageOf(c)} />, { route: '/login' }))
  pages.get('/login/factor', (c) => answerPage(c, <FactorPage lang={languageOf(c)} />, { route: '/login/factor' }))
  for (const [route, Page] of Object.entries(MAILED)) {
    pages.get(route, (c) => answerPage(c, <Page lang={languageOf(c)} />, { route }))
  }
  pages.get('/app/account', (c) => answerPage(c, <AccountPage lang={languageOf(c)} />, { route: '/app/account' }))
  pages.get('/app/admin', (c) => answerPage(c, <AdminPage />, { route: '/app/admin' }))
  pages.get('/app', (c) => answerPage(c, <DashboardPage />, { route: '/app' }))
  pages.get('/app/rooms/:roomId', (c) => {
    const route = '/app/rooms/:roomId'
    const id = RoomId.safeParse(c.req.param('roomId'))
    return id.success ? answerPage(c, <RoomPage roomId={id.data} lang={languageOf(c)} />, { route }) : missing(c, route)
  })
  pages.get('/app/shells/:shellId', (c) => {
    const route = '/app/shells/:shellId'
    const id = ShellId.safeParse(c.req.param('shellId'))
    // xterm.js writes its measures and colours into style elements.
    return id.success ? answerPage(c, <ShellPage shellId={id.data} />, { route, styles: 'inline' }) : missing(c, route)
  })
  pages.get('/app/records/:orgId', (c) => {
    const route = '/app/records/:orgId'
    const id = OrgId.safeParse(c.req.param('orgId'))
    return id.success ? answerPage(c, <RecordsPage orgId={id.data} />, { route }) : missing(c, route)
  })
  pages.get('/app/runs/:orgId', (c) => {
    const route = '/app/runs/:orgId'
    const id = OrgId.safeParse(c.req.param('orgId'))
    return id.success ? answerPage(c, <RunsPage orgId={id.data} />, { route }) : missing(c, route)
  })
  pages.get('/app/hooks/:orgId', (c) => {
    const route = '/app/hooks/:orgId'
    const id = OrgId.safeParse(c.req.param('orgId'))
    return id.success ? answerPage(c, <HooksPage orgId={id.data} />, { route }) : missing(c, route)
  })
  pages.get('/app/recordings/:shellId', (c) => {
    const route = '/app/recordings/:shellId'
    const id = ShellId.safeParse(c.req.param('shellId'))
    return id.success ? answerPage(c, <RecordingPage shellId={id.data} />, { route, styles: 'player' }) : missing(c, route)
  })
  pages.get('/app/*', (c) => missing(c, '/app/*'))
  return pages
}

/** Mounts the pages on any Hono app whose middleware leaves a Content-Security-Policy that is already set. */
export function mountConsole<E extends Env>(app: Hono<E>): void {
  app.route('/', makePages())
}
