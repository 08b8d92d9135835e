import type { FC } from 'hono/jsx'
import { EMAIL_CHARS_MAX, PASSWORD_CHARS_MAX } from '../../contract/identity.ts'
import { Field, Form } from '../fields.tsx'
import { Alert, NeedsScripts, PublicPage } from '../layout.tsx'

/** Signs a user in on this browser. */
export const LoginPage: FC = () => (
  <PublicPage title="Sign in · Parvis" island="login" layout="narrow">
    <h1>Sign in</h1>
    <NeedsScripts />
    <p class="notice" id="login-note" role="status" hidden />
    <Form id="login">
      <Field id="login-email" label="Email" type="email" autocomplete="username" maxlength={EMAIL_CHARS_MAX} required />
      <Field id="login-password" label="Password" type="password" autocomplete="current-password" maxlength={PASSWORD_CHARS_MAX} required />
      <button type="submit" class="button">
        Sign in
      </button>
    </Form>
    <Alert id="passkey-alert" />
    <button type="button" class="quiet broad" id="passkey-login" hidden>
      Use a passkey
    </button>
    <p class="aside">
      <a href="/login/mail">Mail me a link instead</a> · <a href="/password/reset">Forgot password?</a>
    </p>
    <p class="aside">
      New here? <a href="/register">Create an account</a>
    </p>
  </PublicPage>
)
