import type { FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { Form } from '../fields.tsx'
import { Alert, NeedsScripts, PublicPage } from '../layout.tsx'
import { ENTRY_WORDS } from '../words/entry.ts'
import { EmailField, PasswordField, Submit } from './inputs.tsx'

/** Signs a user in on this browser. */
export const LoginPage: FC<{ readonly lang: Locale }> = ({ lang }) => {
  const words = ENTRY_WORDS[lang]
  return (
    <PublicPage title={`${words.signIn} · Parvis`} lang={lang} island="login" layout="narrow">
      <h1>{words.signIn}</h1>
      <NeedsScripts lang={lang} />
      <p class="notice" id="login-note" role="status" hidden />
      <Form id="login">
        <EmailField id="login-email" label={words.email} isLogin />
        <PasswordField id="login-password" label={words.password} />
        <Submit>{words.signIn}</Submit>
      </Form>
      <Alert id="passkey-alert" />
      <button type="button" class="quiet broad" id="passkey-login" hidden>
        {words.usePasskey}
      </button>
      <p class="aside">
        <a href="/login/mail">{words.mailInstead}</a> · <a href="/password/reset">{words.forgotten}</a>
      </p>
      <p class="aside">
        {words.newHere} <a href="/register">{words.create}</a>
      </p>
    </PublicPage>
  )
}
