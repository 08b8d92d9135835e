import type { FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { Field, Form } from '../fields.tsx'
import { Alert, NeedsScripts, PublicPage } from '../layout.tsx'
import { ENTRY_WORDS } from '../words/entry.ts'
import { Submit } from './inputs.tsx'

/** Takes the second factor of a sign-in that has proven its first. */
export const FactorPage: FC<{ readonly lang: Locale }> = ({ lang }) => {
  const words = ENTRY_WORDS[lang]
  return (
    <PublicPage title={`${words.factorTitle} · Parvis`} lang={lang} island="factor" layout="narrow">
      <h1>{words.factorHeading}</h1>
      <NeedsScripts lang={lang} />
      <Alert id="page-alert" />
      <div id="passkey-step" hidden>
        <p>
          <button type="button" class="button" id="passkey">
            {words.usePasskey}
          </button>
        </p>
      </div>
      <div id="code-step" hidden>
        <p>{words.factorLead}</p>
        <Form id="factor">
          <Field id="factor-code" label={words.code} class="code" autocomplete="one-time-code" maxlength={40} required />
          <label class="check">
            <input type="checkbox" id="factor-trust" /> {words.trust}
          </label>
          <Submit>{words.signIn}</Submit>
        </Form>
      </div>
      <p class="aside">
        <a href="/login">{words.startAgain}</a>
      </p>
    </PublicPage>
  )
}
