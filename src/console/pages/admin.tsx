import type { FC } from 'hono/jsx'
import { REASON_CHARS_MAX } from '../../contract/admin.ts'
import { EMAIL_CHARS_MAX } from '../../contract/identity.ts'
import { PlatformRole } from '../../contract/permission.ts'
import { Choice, Dialog, Field, Form } from '../fields.tsx'
import { Alert, AppPage, Lost } from '../layout.tsx'
import { ACCOUNT_WORDS } from '../words/account.ts'
import { Submit } from './inputs.tsx'
import { List } from './list.tsx'
import { RecordPanel } from './record.tsx'
import { StepUpDialog } from './step-up.tsx'

const Search: FC = () => (
  <Form id="search" class="filter" label="Search users">
    <Field id="search-text" label="Address" type="search" autocomplete="off" maxlength={EMAIL_CHARS_MAX} />
    <Choice id="search-role" label="Role" options={[['', 'Any'], ...PlatformRole.options.map((role) => [role, role] as const)]} />
    <Choice
      id="search-state"
      label="Standing"
      options={[
        ['', 'Any'],
        ['active', 'active'],
        ['disabled', 'disabled'],
      ]}
    />
    <Submit>Search</Submit>
  </Form>
)

const Rows: FC = () => (
  <>
    <template id="user-row">
      <li class="row">
        <button type="button" class="link name" data-slot="email" />
        <span class="badges" data-slot="badges" />
        <time data-slot="created" />
      </li>
    </template>
    <template id="session-row">
      <li class="row">
        <span class="name">
          <span data-slot="name" /> <span class="soft" data-slot="place" />
        </span>
        <time data-slot="seen" />
      </li>
    </template>
    <template id="deed-row">
      <li class="row">
        <span class="name">
          <span data-slot="action" /> <span class="soft" data-slot="from" />
        </span>
        <time data-slot="at" />
      </li>
    </template>
  </>
)

const Standing: FC = () => (
  <section aria-labelledby="standing-title" data-manage>
    <h3 id="standing-title">Standing</h3>
    <Form id="standing" class="inline">
      <Field id="standing-reason" label="Reason, for the record" autocomplete="off" maxlength={REASON_CHARS_MAX} required />
      <button type="submit" class="quiet" id="standing-act">
        …
      </button>
    </Form>
  </section>
)

const LostFactors: FC = () => (
  <section aria-labelledby="lost-title" data-manage>
    <h3 id="lost-title">Lost factors</h3>
    <p class="soft">Removes app, passkeys, recovery codes and password. Whoever reads the mailbox goes on with a new password.</p>
    <Form id="lost" class="inline">
      <Field id="lost-reason" label="Why they go, for the record" autocomplete="off" maxlength={REASON_CHARS_MAX} required />
      <button type="submit" class="quiet danger">
        Remove factors
      </button>
    </Form>
  </section>
)

const Roles: FC = () => (
  <section aria-labelledby="roles-title" data-manage>
    <h3 id="roles-title">Roles</h3>
    <Form id="roles" class="roles">
      <div class="checks">
        {PlatformRole.options.map((role) => (
          <label class="check">
            <input type="checkbox" id={`role-${role}`} /> {role}
          </label>
        ))}
      </div>
      <button type="submit" class="quiet">
        Save roles
      </button>
    </Form>
  </section>
)

const UserDialog: FC = () => (
  <Dialog id="user" title="User">
    <p class="badges" id="user-badges" />
    <dl class="facts">
      <dt>Id</dt>
      <dd>
        <code id="user-id" />
      </dd>
      <dt>Since</dt>
      <dd>
        <time id="user-created" />
      </dd>
      <dt>Signs in by</dt>
      <dd id="user-factors" />
    </dl>
    <Alert id="user-alert" />
    <Standing />
    <LostFactors />
    <Roles />
    <section aria-labelledby="sessions-title">
      <h3 id="sessions-title">Signed-in devices</h3>
      <ul class="rows" id="sessions-list" />
      <p class="empty" id="sessions-empty" hidden>
        Signed in nowhere.
      </p>
      <p class="actions" data-manage>
        <button type="button" class="quiet small danger" id="end-sessions">
          End all sessions and API keys
        </button>
      </p>
    </section>
    <section aria-labelledby="deeds-title" data-record>
      <h3 id="deeds-title">Recent activity</h3>
      <Alert id="deeds-alert" />
      <ul class="rows" id="deeds-list" />
      <button type="button" class="quiet small more" id="deeds-more" hidden>
        Show more
      </button>
    </section>
  </Dialog>
)

const EmergencyPanel: FC = () => (
  <section class="panel" aria-labelledby="emergency-title" data-manage>
    <h2 id="emergency-title">After a break-in</h2>
    <Alert id="emergency-alert" />
    <p>Ends every session and every API key of everybody, yours too. People sign in again; programs need new keys.</p>
    <p class="actions">
      <button type="button" class="quiet danger" id="end-everything">
        Sign everybody out
      </button>
    </p>
  </section>
)

/** Users and the record, for those who look after the platform. What a role does not allow is not shown, and the service refuses it. */
export const AdminPage: FC = () => (
  <AppPage title="Administration" island="admin" layout="wide">
    <Lost />
    <div id="page" class="stack" hidden>
      <h1>Administration</h1>
      <List id="users" title="Users" empty="Nobody is found by this." lead={<Search />} />
      <Rows />
      <RecordPanel />
      <EmergencyPanel />
    </div>
    <UserDialog />
    <StepUpDialog lang="en" words={ACCOUNT_WORDS.en} />
  </AppPage>
)
