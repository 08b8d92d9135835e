import type { FC } from 'hono/jsx'
import { CODE_DIGITS, EMAIL_CHARS_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN } from '../../contract/identity.ts'
import { Choice, Field, Form } from '../fields.tsx'
import { NeedsScripts, PublicPage } from '../layout.tsx'

/** Takes address and password, then the mailed code, and signs in. */
export const RegisterPage: FC = () => (
  <PublicPage title="Create an account · Parvis" island="register" layout="narrow">
    <h1 id="register-title" tabindex={-1}>
      Create an account
    </h1>
    <NeedsScripts />
    <div id="register-step">
      <Form id="register">
        <Field id="register-email" label="Email" type="email" autocomplete="username" maxlength={EMAIL_CHARS_MAX} required />
        <Field
          id="register-password"
          label="Password"
          hint={`${PASSWORD_CHARS_MIN} characters or more. A short sentence is easy to remember and hard to guess.`}
          type="password"
          autocomplete="new-password"
          minlength={PASSWORD_CHARS_MIN}
          maxlength={PASSWORD_CHARS_MAX}
          required
        />
        <Choice
          id="register-locale"
          label="Language of mails"
          options={[
            ['en', 'English'],
            ['fr', 'Français'],
          ]}
        />
        <button type="submit" class="button">
          Create account
        </button>
      </Form>
      <p class="aside">
        Already have one? <a href="/login">Sign in</a>
      </p>
    </div>
    <div id="verify-step" hidden>
      <p>
        A mail with a code of {CODE_DIGITS} digits and a link is on its way to <strong id="verify-address" />. Both work until{' '}
        <time id="verify-until" />.
      </p>
      <Form id="verify">
        <Field
          id="verify-code"
          label="Code"
          class="code"
          inputmode="numeric"
          autocomplete="one-time-code"
          pattern={`[0-9]{${CODE_DIGITS}}`}
          maxlength={CODE_DIGITS}
          title={`${CODE_DIGITS} digits`}
          required
        />
        <button type="submit" class="button">
          Confirm address
        </button>
      </Form>
      <p class="aside">
        No mail? Look in the spam folder,{' '}
        <button type="button" class="link" id="verify-resend">
          have it sent again
        </button>
        , or{' '}
        <button type="button" class="link" id="verify-restart">
          start again
        </button>
        .
      </p>
    </div>
  </PublicPage>
)
