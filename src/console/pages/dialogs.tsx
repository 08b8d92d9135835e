import type { FC } from 'hono/jsx'
import { SECRET_CHARS_MAX } from '../../contract/hosts.ts'
import { EMAIL_CHARS_MAX } from '../../contract/identity.ts'
import { ORG_NAME_CHARS_MAX, OrgRole } from '../../contract/orgs.ts'
import { COMMAND_CHARS_MAX } from '../../contract/shell.ts'
import { Area, Choice, Dialog, Field, Form } from '../fields.tsx'
import { TimeLimitField } from './inputs.tsx'
import { TelnetForm } from './telnet-form.tsx'

/** Who has a seat in a room, or a place in an organisation. The island fills in the roles. */
export const MembersDialog: FC = () => (
  <Dialog id="members" title="Members">
    <ul class="rows" id="members-list" aria-label="Members" />
    <button type="button" class="quiet small more" id="members-more" hidden>
      Show more
    </button>
    <Form id="add-member" label="Add a member">
      <div class="pair">
        <Field id="add-member-userId" label="User id" class="mono" placeholder="usr_…" autocomplete="off" spellcheck={false} required />
        <Choice id="add-member-role" label="Role" options={[]} />
      </div>
      <button type="submit" class="button" id="add-member-act">
        Add
      </button>
    </Form>
    <template id="member-row">
      <li class="row">
        <code class="name" data-slot="userId" />
        <span class="soft" data-slot="self" />
        <span class="badge" data-slot="role" />
        <button type="button" class="quiet small danger" data-slot="remove">
          Remove
        </button>
      </li>
    </template>
  </Dialog>
)

/** What owners do with an organisation beside its members: invite, rename, hand over, delete. */
export const OrgDialog: FC = () => (
  <Dialog id="org" title="Organisation">
    <h3>Invitations</h3>
    <div class="alert" id="invitations-alert" role="alert" tabindex={-1} hidden />
    <ul class="rows" id="invitations-list" aria-label="Invitations" />
    <p class="empty" id="invitations-empty" hidden>
      No open invitations.
    </p>
    <button type="button" class="quiet small more" id="invitations-more" hidden>
      Show more
    </button>
    <template id="invitation-row">
      <li class="row">
        <span class="name" data-slot="email" />
        <span class="badge" data-slot="role" />
        <time data-slot="expires" />
        <button type="button" class="quiet small" data-slot="resend">
          Send again
        </button>
        <button type="button" class="quiet small danger" data-slot="withdraw">
          Withdraw
        </button>
      </li>
    </template>
    <Form id="invite" label="Invite somebody">
      <div class="pair">
        <Field id="invite-email" label="Mail address" type="email" autocomplete="off" maxlength={EMAIL_CHARS_MAX} required />
        <Choice id="invite-role" label="Role" options={OrgRole.options.toReversed().map((role) => [role, role] as const)} />
      </div>
      <button type="submit" class="button">
        Invite
      </button>
    </Form>
    <Form id="rename-org" label="Another name" class="inline">
      <Field id="rename-org-name" label="Name" autocomplete="off" maxlength={ORG_NAME_CHARS_MAX} required />
      <button type="submit" class="button quiet">
        Rename
      </button>
    </Form>
    <Form id="transfer-org" label="Another owner" class="inline">
      <Field
        id="transfer-org-userId"
        label="Make a member owner in your place"
        class="mono"
        placeholder="usr_…"
        autocomplete="off"
        spellcheck={false}
        required
      />
      <button type="submit" class="button quiet">
        Transfer
      </button>
    </Form>
    <div class="alert" id="delete-org-alert" role="alert" tabindex={-1} hidden />
    <p class="actions">
      <button type="button" class="quiet danger" id="delete-org">
        Delete the organisation
      </button>
    </p>
  </Dialog>
)

/** Registers a host: over SSH in three steps, which ask for its key, compare, and hand over the credential; or without SSH in one. */
export const HostDialog: FC = () => (
  <Dialog id="host" title="Add a host">
    <div id="host-kind-part">
      <Choice
        id="host-kind"
        label="Reached by"
        options={[
          ['ssh', 'SSH'],
          ['telnet', 'Telnet, without encryption'],
        ]}
      />
    </div>
    <TelnetForm />
    <Form id="scan" label="Where the host is">
      <div class="pair">
        <Field
          id="scan-address"
          label="Address"
          class="mono"
          placeholder="web-1.example.org"
          autocomplete="off"
          spellcheck={false}
          required
        />
        <Field id="scan-port" label="Port" type="number" min={1} max={65_535} value="22" required />
      </div>
      <button type="submit" class="button">
        Ask for its key
      </button>
    </Form>
    <Form id="accept" label="Its keys" hidden>
      <p>
        <strong id="accept-target" /> presents these keys. Compare them with what the host itself says, and choose those that are the same:
      </p>
      <pre tabindex={0}>
        <code>for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done</code>
      </pre>
      <ul class="rows" id="accept-keys" aria-label="Keys" />
      <template id="key-row">
        <li>
          <label class="row">
            <input type="checkbox" data-slot="box" />
            <span class="name">
              <span data-slot="type" />
              <code class="soft" data-slot="fingerprint" />
            </span>
          </label>
        </li>
      </template>
      <p class="actions">
        <button type="submit" class="button">
          Accept the chosen keys
        </button>
        <button type="button" class="quiet" id="accept-back">
          Back
        </button>
      </p>
    </Form>
    <Form id="create-host" label="How to sign in there" hidden>
      <div class="pair">
        <Field id="create-host-name" label="Name" autocomplete="off" maxlength={80} required />
        <Field id="create-host-user" label="User" class="mono" autocomplete="off" spellcheck={false} maxlength={64} required />
      </div>
      <Choice
        id="create-host-kind"
        label="Credential"
        options={[
          ['password', 'Password'],
          ['private-key', 'Private key'],
          ['certificate', 'Certificate of the organisation’s authority'],
          ['keyboard-interactive', 'Questions, answered live'],
        ]}
      />
      <div data-kind="password">
        <Field
          id="create-host-password"
          label="Password"
          type="password"
          autocomplete="off"
          maxlength={SECRET_CHARS_MAX}
          hint="Sealed to the relay before it is kept; nobody can read it back."
          required
        />
      </div>
      <div data-kind="private-key" hidden>
        <Area
          id="create-host-privateKey"
          label="Private key"
          rows={5}
          maxlength={SECRET_CHARS_MAX}
          placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
          hint="Sealed to the relay before it is kept; nobody can read it back."
          required
        />
        <Field id="create-host-passphrase" label="Passphrase, if it has one" type="password" autocomplete="off" maxlength={1024} />
      </div>
      <div data-kind="certificate" hidden>
        <p class="hint">
          The organisation’s SSH authority signs a new key for each connection, for minutes. The host must trust it: its line goes into the
          file that <code>TrustedUserCAKeys</code> of sshd names.
        </p>
        <pre id="authority-keys" tabindex={0} hidden />
        <button type="button" class="quiet small" id="authority-make" hidden>
          Make the authority’s key
        </button>
      </div>
      <div data-kind="keyboard-interactive" hidden>
        <p class="hint">
          Whoever opens a shell answers what the host asks, and nothing of it is kept. Commands and files need another credential.
        </p>
      </div>
      <button type="submit" class="button">
        Add host
      </button>
    </Form>
  </Dialog>
)

/** Runs one command and shows what it did. */
export const CommandDialog: FC = () => (
  <Dialog id="command" title="Run a command">
    <p class="soft">
      On <strong id="command-host" />. The command and who ran it go on record.
    </p>
    <Form id="run" label="Command">
      <Area id="run-command" label="Command" rows={2} maxlength={COMMAND_CHARS_MAX} hint="Ctrl or ⌘ with Enter runs it." required />
      <div class="pair">
        <TimeLimitField id="run-timeoutSeconds" />
      </div>
      <button type="submit" class="button">
        Run
      </button>
    </Form>
    <section id="result" aria-live="polite" aria-label="Result" hidden>
      <p id="result-verdict" class="verdict" />
      <h3>Output</h3>
      <pre id="result-stdout" tabindex={0} />
      <div id="result-errors">
        <h3>Errors</h3>
        <pre id="result-stderr" tabindex={0} />
      </div>
    </section>
  </Dialog>
)
