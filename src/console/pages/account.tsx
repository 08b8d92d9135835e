import type { FC } from 'hono/jsx'
import { DEVICE_NAME_CHARS_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, PASSWORD_CHARS_MIN_WITH_FACTOR } from '../../contract/identity.ts'
import { PASSKEY_NAME_CHARS_MAX } from '../../contract/passkeys.ts'
import { TOTP_DIGITS } from '../../contract/proof.ts'
import { Dialog, Field, Form } from '../fields.tsx'
import { Alert, AppPage } from '../layout.tsx'
import { List } from './list.tsx'
import { ActivityPanel, DataPanel, ProfilePanel } from './own-data.tsx'

const PasswordPanel: FC = () => (
  <section class="panel" aria-labelledby="password-title">
    <h2 id="password-title">Password</h2>
    <Form id="password">
      <div id="password-current-part">
        <Field
          id="password-currentPassword"
          label="Current password"
          type="password"
          autocomplete="current-password"
          maxlength={PASSWORD_CHARS_MAX}
          required
        />
      </div>
      <Field
        id="password-newPassword"
        label="New password"
        type="password"
        autocomplete="new-password"
        hint={`${PASSWORD_CHARS_MIN} characters or more; ${PASSWORD_CHARS_MIN_WITH_FACTOR} with a second factor. Your other devices are signed out.`}
        minlength={PASSWORD_CHARS_MIN_WITH_FACTOR}
        maxlength={PASSWORD_CHARS_MAX}
        required
      />
      <button type="submit" class="button">
        Save password
      </button>
    </Form>
    <p class="notice" id="password-note" role="status" hidden>
      Your password is changed.
    </p>
    <p class="actions">
      <button type="button" class="quiet small danger" id="remove-password" hidden>
        Remove the password
      </button>
    </p>
  </section>
)

const FactorPanel: FC = () => (
  <section class="panel" aria-labelledby="factors-title">
    <h2 id="factors-title">Second factor</h2>
    <Alert id="factors-alert" />
    <ul class="rows">
      <li class="row">
        <span class="name">Authenticator app</span>
        <span class="badge" id="totp-state">
          …
        </span>
        <button type="button" class="quiet small" id="totp-start" hidden>
          Set up
        </button>
        <button type="button" class="quiet small danger" id="totp-remove" hidden>
          Remove
        </button>
      </li>
      <li class="row">
        <span class="name">Recovery codes</span>
        <span class="badge" id="recovery-state">
          …
        </span>
        <button type="button" class="quiet small" id="recovery-make" hidden>
          Make new ones
        </button>
      </li>
    </ul>
  </section>
)

const Rows: FC = () => (
  <>
    <template id="passkey-row">
      <li class="row">
        <span class="name" data-slot="name" />
        <span class="soft" data-slot="used" />
        <button type="button" class="quiet small" data-slot="rename">
          Rename
        </button>
        <button type="button" class="quiet small danger" data-slot="remove">
          Remove
        </button>
      </li>
    </template>
    <template id="device-row">
      <li class="row">
        <span class="name">
          <span data-slot="name" /> <span class="soft" data-slot="place" />
        </span>
        <span class="badge" data-tone="live" data-slot="current">
          This one
        </span>
        <time data-slot="seen" />
        <button type="button" class="quiet small" data-slot="rename">
          Rename
        </button>
        <button type="button" class="quiet small danger" data-slot="revoke">
          Sign out
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
          Revoke
        </button>
      </li>
    </template>
  </>
)

const TotpDialog: FC = () => (
  <Dialog id="totp" title="Set up an authenticator app">
    <p>Scan this with the app, or type the key into it by hand.</p>
    <svg id="totp-picture" class="qr" role="img" aria-label="The key as a QR code" />
    <p class="own-id">
      Key: <code id="totp-secret" />
    </p>
    <Form id="confirm-totp">
      <Field
        id="confirm-totp-code"
        label="Code that the app shows"
        class="code"
        inputmode="numeric"
        autocomplete="one-time-code"
        pattern="[0-9 ]*"
        minlength={TOTP_DIGITS}
        maxlength={TOTP_DIGITS + 1}
        required
      />
      <button type="submit" class="button">
        Confirm
      </button>
    </Form>
  </Dialog>
)

const RecoveryDialog: FC = () => (
  <Dialog id="recovery" title="Your recovery codes">
    <p>
      Each signs you in once in place of your second factor. They are shown this once: keep them where you will find them without this
      device.
    </p>
    <pre tabindex={0}>
      <code id="recovery-codes" />
    </pre>
    <p class="actions">
      <button type="button" class="quiet" id="recovery-copy">
        Copy
      </button>
      <button type="button" class="button" data-close>
        I have kept them
      </button>
    </p>
  </Dialog>
)

const StepUpDialog: FC = () => (
  <Dialog id="step-up" title="Prove that it is you">
    <Form id="step-up-password">
      <Field
        id="step-up-password-password"
        label="Your password"
        type="password"
        autocomplete="current-password"
        maxlength={PASSWORD_CHARS_MAX}
        required
      />
      <button type="submit" class="button">
        Continue
      </button>
    </Form>
    <Form id="step-up-code">
      <Field
        id="step-up-code-code"
        label="Your second factor"
        class="code"
        hint="From your authenticator app, or one of your recovery codes."
        autocomplete="one-time-code"
        autocapitalize="off"
        spellcheck={false}
        maxlength={20}
        required
      />
      <button type="submit" class="button">
        Continue
      </button>
    </Form>
    <Alert id="step-up-alert" />
    <button type="button" class="quiet broad" id="step-up-passkey" hidden>
      Use a passkey
    </button>
    <p id="step-up-none" hidden>
      Nothing here can prove it: <a href="/login">sign in</a> again.
    </p>
  </Dialog>
)

const NameDialog: FC = () => (
  <Dialog id="naming" title="A name for it">
    <Form id="name-form">
      <Field
        id="name-form-name"
        label="Name"
        autocomplete="off"
        maxlength={Math.min(DEVICE_NAME_CHARS_MAX, PASSKEY_NAME_CHARS_MAX)}
        required
      />
      <button type="submit" class="button">
        Save
      </button>
    </Form>
  </Dialog>
)

/** Who a user is, how they sign in and where, what happened, and the way out. */
export const AccountPage: FC = () => (
  <AppPage title="Account" island="account" layout="wide">
    <div class="heading">
      <h1>Account</h1>
    </div>
    <div class="columns">
      <div>
        <ProfilePanel />
        <FactorPanel />
        <List id="passkeys" title="Passkeys" empty="No passkeys yet. A passkey signs you in with your device, without a password.">
          <p class="actions">
            <button type="button" class="button" id="add-passkey" hidden>
              Add a passkey
            </button>
          </p>
        </List>
        <PasswordPanel />
      </div>
      <div>
        <List id="devices" title="Signed-in devices" empty="No devices.">
          <p class="actions">
            <button type="button" class="quiet danger" id="revoke-others" hidden>
              Sign out all others
            </button>
          </p>
        </List>
        <List
          id="trusted"
          title="Trusted devices"
          empty="None. Trust one when you enter your second factor, and it is not asked there for a month."
        />
        <ActivityPanel />
        <DataPanel />
      </div>
    </div>
    <Rows />
    <TotpDialog />
    <RecoveryDialog />
    <StepUpDialog />
    <NameDialog />
  </AppPage>
)
