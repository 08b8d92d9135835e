import type { FC } from 'hono/jsx'
import { TRUST_DAYS } from '../../contract/factors.ts'
import { Field, Form } from '../fields.tsx'
import { Alert, NeedsScripts, PublicPage } from '../layout.tsx'

/** Takes the second factor of a sign-in that has proven its first. */
export const FactorPage: FC = () => (
  <PublicPage title="Second factor · Parvis" island="factor" layout="narrow">
    <h1>Confirm it is you</h1>
    <NeedsScripts />
    <Alert id="page-alert" />
    <div id="passkey-step" hidden>
      <p>
        <button type="button" class="button" id="passkey">
          Use a passkey
        </button>
      </p>
    </div>
    <div id="code-step" hidden>
      <p>Enter the code that your authenticator app shows now, or one of your recovery codes.</p>
      <Form id="factor">
        <Field id="factor-code" label="Code" class="code" autocomplete="one-time-code" maxlength={40} required />
        <label class="check">
          <input type="checkbox" id="factor-trust" /> Trust this browser for {TRUST_DAYS} days
        </label>
        <button type="submit" class="button">
          Sign in
        </button>
      </Form>
    </div>
    <p class="aside">
      <a href="/login">Start again</a>
    </p>
  </PublicPage>
)
