import type { FC } from 'hono/jsx'
import { DEVICE_NAME_CHARS_MAX, type Locale, PASSWORD_CHARS_MIN_WITH_FACTOR } from '../../contract/identity.ts'
import { PASSKEY_NAME_CHARS_MAX } from '../../contract/passkeys.ts'
import { TOTP_DIGITS } from '../../contract/proof.ts'
import { Dialog, Field, Form } from '../fields.tsx'
import { Alert, AppPage } from '../layout.tsx'
import { ACCOUNT_WORDS, type AccountWords } from '../words/account.ts'
import { NewPasswordField, PasswordField, Submit } from './inputs.tsx'
import { List } from './list.tsx'
import { ActivityPanel, DataPanel, ProfilePanel } from './own-data.tsx'
import { StepUpDialog } from './step-up.tsx'

interface WordsProps {
  readonly words: AccountWords
}

interface LangProps extends WordsProps {
  readonly lang: Locale
}

const PasswordPanel: FC<WordsProps> = ({ words }) => (
  <section class="panel" aria-labelledby="password-title">
    <h2 id="password-title">{words.password}</h2>
    <Form id="password">
      <div id="password-current-part">
        <PasswordField id="password-currentPassword" label={words.currentPassword} />
      </div>
      <NewPasswordField
        id="password-newPassword"
        label={words.newPassword}
        hint={words.newPasswordHint}
        min={PASSWORD_CHARS_MIN_WITH_FACTOR}
      />
      <Submit>{words.savePassword}</Submit>
    </Form>
    <p class="notice" id="password-note" role="status" hidden>
      {words.passwordChanged}
    </p>
    <p class="actions">
      <button type="button" class="quiet small danger" id="remove-password" hidden>
        {words.removePassword}
      </button>
    </p>
  </section>
)

const FactorPanel: FC<WordsProps> = ({ words }) => (
  <section class="panel" aria-labelledby="factors-title">
    <h2 id="factors-title">{words.secondFactor}</h2>
    <Alert id="factors-alert" />
    <ul class="rows">
      <li class="row">
        <span class="name">{words.app}</span>
        <span class="badge" id="totp-state">
          …
        </span>
        <button type="button" class="quiet small" id="totp-start" hidden>
          {words.setUp}
        </button>
        <button type="button" class="quiet small danger" id="totp-remove" hidden>
          {words.remove}
        </button>
      </li>
      <li class="row">
        <span class="name">{words.recoveryCodes}</span>
        <span class="badge" id="recovery-state">
          …
        </span>
        <button type="button" class="quiet small" id="recovery-make" hidden>
          {words.makeNew}
        </button>
      </li>
    </ul>
  </section>
)

const Rows: FC<WordsProps> = ({ words }) => (
  <>
    <template id="passkey-row">
      <li class="row">
        <span class="name" data-slot="name" />
        <span class="soft" data-slot="used" />
        <button type="button" class="quiet small" data-slot="rename">
          {words.rename}
        </button>
        <button type="button" class="quiet small danger" data-slot="remove">
          {words.remove}
        </button>
      </li>
    </template>
    <template id="device-row">
      <li class="row">
        <span class="name">
          <span data-slot="name" /> <span class="soft" data-slot="place" />
        </span>
        <span class="badge" data-tone="live" data-slot="current">
          {words.thisOne}
        </span>
        <time data-slot="seen" />
        <button type="button" class="quiet small" data-slot="rename">
          {words.rename}
        </button>
        <button type="button" class="quiet small danger" data-slot="revoke">
          {words.signOut}
        </button>
      </li>
    </template>
    <template id="trusted-row">
      <li class="row">
        <span class="name">
          <span data-slot="name" /> <span class="soft" data-slot="place" />
        </span>
        <time data-slot="used" />
        <button type="button" class="quiet small danger" data-slot="revoke">
          {words.revoke}
        </button>
      </li>
    </template>
  </>
)

const TotpDialog: FC<LangProps> = ({ lang, words }) => (
  <Dialog id="totp" title={words.appTitle} lang={lang}>
    <p>{words.scan}</p>
    <svg id="totp-picture" class="qr" role="img" aria-label={words.picture} />
    <p class="own-id">
      {words.key} <code id="totp-secret" />
    </p>
    <Form id="confirm-totp">
      <Field
        id="confirm-totp-code"
        label={words.shownCode}
        class="code"
        inputmode="numeric"
        autocomplete="one-time-code"
        pattern="[0-9 ]*"
        minlength={TOTP_DIGITS}
        maxlength={TOTP_DIGITS + 1}
        required
      />
      <Submit>{words.confirm}</Submit>
    </Form>
  </Dialog>
)

const RecoveryDialog: FC<LangProps> = ({ lang, words }) => (
  <Dialog id="recovery" title={words.codesTitle} lang={lang}>
    <p>{words.codesLead}</p>
    <pre tabindex={0}>
      <code id="recovery-codes" />
    </pre>
    <p class="actions">
      <button type="button" class="quiet" id="recovery-copy">
        {words.copy}
      </button>
      <button type="button" class="button" data-close>
        {words.kept}
      </button>
    </p>
  </Dialog>
)

const NameDialog: FC<LangProps> = ({ lang, words }) => (
  <Dialog id="naming" title={words.naming} lang={lang}>
    <Form id="name-form">
      <Field
        id="name-form-name"
        label={words.name}
        autocomplete="off"
        maxlength={Math.min(DEVICE_NAME_CHARS_MAX, PASSKEY_NAME_CHARS_MAX)}
        required
      />
      <Submit>{words.save}</Submit>
    </Form>
  </Dialog>
)

/** Who a user is, how they sign in and where, what happened, and the way out. */
export const AccountPage: FC<{ readonly lang: Locale }> = ({ lang }) => {
  const words = ACCOUNT_WORDS[lang]
  const both = { lang, words }
  return (
    <AppPage title={words.title} lang={lang} island="account" layout="wide">
      <div class="heading">
        <h1>{words.title}</h1>
      </div>
      <div class="columns">
        <div>
          <ProfilePanel words={words} />
          <FactorPanel words={words} />
          <List id="passkeys" title={words.passkeys} empty={words.noPasskeys} lang={lang}>
            <p class="actions">
              <button type="button" class="button" id="add-passkey" hidden>
                {words.addPasskey}
              </button>
            </p>
          </List>
          <PasswordPanel words={words} />
        </div>
        <div>
          <List id="devices" title={words.devices} empty={words.noDevices} lang={lang}>
            <p class="actions">
              <button type="button" class="quiet danger" id="revoke-others" hidden>
                {words.signOutOthers}
              </button>
            </p>
          </List>
          <List id="trusted" title={words.trusted} empty={words.noTrusted} lang={lang} />
          <ActivityPanel {...both} />
          <DataPanel words={words} />
        </div>
      </div>
      <Rows words={words} />
      <TotpDialog {...both} />
      <RecoveryDialog {...both} />
      <StepUpDialog {...both} />
      <NameDialog {...both} />
    </AppPage>
  )
}
