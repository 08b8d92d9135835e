import type { FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { Dialog, Field, Form } from '../fields.tsx'
import { Alert } from '../layout.tsx'
import type { AccountWords } from '../words/account.ts'
import { PasswordField, Submit } from './inputs.tsx'

interface StepUpProps {
  readonly lang: Locale
  readonly words: AccountWords
}

/** Asks for a fresh proof; `withStepUp` opens it. */
export const StepUpDialog: FC<StepUpProps> = ({ lang, words }) => (
  <Dialog id="step-up" title={words.prove} lang={lang}>
    <Form id="step-up-password">
      <PasswordField id="step-up-password-password" label={words.yourPassword} />
      <Submit>{words.continue}</Submit>
    </Form>
    <Form id="step-up-code">
      <Field
        id="step-up-code-code"
        label={words.yourFactor}
        class="code"
        hint={words.yourFactorHint}
        autocomplete="one-time-code"
        autocapitalize="off"
        spellcheck={false}
        maxlength={20}
        required
      />
      <Submit>{words.continue}</Submit>
    </Form>
    <Alert id="step-up-alert" />
    <button type="button" class="quiet broad" id="step-up-passkey" hidden>
      {words.usePasskey}
    </button>
    <p id="step-up-none" hidden>
      {words.noProof} <a href="/login">{words.signInAgain}</a>.
    </p>
  </Dialog>
)
