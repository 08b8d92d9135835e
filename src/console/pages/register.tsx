import type { FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { Form } from '../fields.tsx'
import { NeedsScripts, PublicPage } from '../layout.tsx'
import { ENTRY_WORDS } from '../words/entry.ts'
import { CodeField, EmailField, LocaleChoice, NewPasswordField, Submit } from './inputs.tsx'

/** Takes address and password, then the mailed code, and signs in. */
export const RegisterPage: FC<{ readonly lang: Locale }> = ({ lang }) => {
  const words = ENTRY_WORDS[lang]
  return (
    <PublicPage title={`${words.create} · Parvis`} lang={lang} island="register" layout="narrow">
      <h1 id="register-title" tabindex={-1}>
        {words.create}
      </h1>
      <NeedsScripts lang={lang} />
      <div id="register-step">
        <Form id="register">
          <EmailField id="register-email" label={words.email} isLogin />
          <NewPasswordField id="register-password" label={words.password} hint={words.passwordHint} />
          <LocaleChoice id="register-locale" label={words.mailLanguage} />
          <Submit>{words.createNow}</Submit>
        </Form>
        <p class="aside">
          {words.already} <a href="/login">{words.signIn}</a>
        </p>
      </div>
      <div id="verify-step" hidden>
        <p>
          {words.mailedTo} <strong id="verify-address" />. {words.bothUntil} <time id="verify-until" />.
        </p>
        <Form id="verify">
          <CodeField id="verify-code" label={words.code} title={words.codeTitle} />
          <Submit>{words.confirm}</Submit>
        </Form>
        <p class="aside">
          {words.noMail}{' '}
          <button type="button" class="link" id="verify-resend">
            {words.again}
          </button>
          {words.or}{' '}
          <button type="button" class="link" id="verify-restart">
            {words.restart}
          </button>
          .
        </p>
      </div>
    </PublicPage>
  )
}
