import type { FC } from 'hono/jsx'
import { ORG_NAME_CHARS_MAX } from '../../contract/orgs.ts'
import { ROOM_NAME_CHARS_MAX } from '../../contract/rooms.ts'
import { Field, Form } from '../fields.tsx'
import { AppPage } from '../layout.tsx'
import { ACCOUNT_WORDS } from '../words/account.ts'
import { CommandDialog, HostDialog, MembersDialog, OrgDialog } from './dialogs.tsx'
import { List } from './list.tsx'
import { StepUpDialog } from './step-up.tsx'

const CreateForm: FC<{ readonly id: string; readonly label: string; readonly charsMax: number }> = ({ id, label, charsMax }) => (
  <Form id={id} class="inline">
    <Field id={`${id}-name`} label={label} autocomplete="off" maxlength={charsMax} required />
    <button type="submit" class="button">
      Create
    </button>
  </Form>
)

const RoomRow: FC = () => (
  <template id="room-row">
    <li class="row">
      <a data-slot="name" class="name" href="/app">
        …
      </a>
      <span class="badge" data-slot="role" />
      <time data-slot="created" />
      <button type="button" class="quiet small" data-slot="share">
        Share
      </button>
    </li>
  </template>
)

const ShellRow: FC = () => (
  <template id="shell-row">
    <li class="row">
      <a data-slot="name" class="name" href="/app">
        …
      </a>
      <span class="badge" data-slot="state" />
      <time data-slot="created" />
    </li>
  </template>
)

const OrgRow: FC = () => (
  <template id="org-row">
    <li>
      <details class="org">
        <summary class="row">
          <span class="name" data-slot="name" />
          <span class="badge" data-slot="role" />
        </summary>
        <div class="alert" role="alert" tabindex={-1} data-slot="alert" hidden />
        <ul class="rows" data-slot="hosts" />
        <p class="empty" data-slot="empty" hidden>
          No hosts yet.
        </p>
        <p class="actions">
          <button type="button" class="quiet small" data-slot="more" hidden>
            Show more
          </button>
          <button type="button" class="quiet small" data-slot="add" hidden>
            Add a host
          </button>
          <a class="button quiet small" data-slot="runs" href="/app">
            Runs
          </a>
          <a class="button quiet small" data-slot="records" href="/app">
            Records
          </a>
          <a class="button quiet small" data-slot="hooks" href="/app" hidden>
            Hooks
          </a>
          <button type="button" class="quiet small" data-slot="members">
            Members
          </button>
          <button type="button" class="quiet small" data-slot="manage" hidden>
            Invite and manage
          </button>
        </p>
      </details>
    </li>
  </template>
)

const HostRow: FC = () => (
  <template id="host-row">
    <li class="row host">
      <div class="name">
        <span data-slot="name" />
        <code class="soft" data-slot="target" />
        <code class="soft print" data-slot="fingerprint" />
      </div>
      <div class="buttons">
        <button type="button" class="quiet small" data-slot="open">
          Open shell
        </button>
        <button type="button" class="quiet small" data-slot="run">
          Run command
        </button>
        <button type="button" class="quiet small danger" data-slot="forget">
          Forget
        </button>
      </div>
    </li>
  </template>
)

/** Everything of a user: rooms, shells, organisations and their hosts. */
export const DashboardPage: FC = () => (
  <AppPage title="Dashboard" island="dashboard" layout="wide">
    <div class="heading">
      <h1>Dashboard</h1>
      <p class="own-id">
        Your user id: <code id="own-id">…</code>
        <button type="button" class="quiet small" id="copy-id" disabled>
          Copy
        </button>
        <span class="hint">Give it to others so that they can add you.</span>
      </p>
    </div>
    <div class="columns">
      <div>
        <List id="rooms" title="Rooms" empty="No rooms yet. Create one, then share it by giving others a seat.">
          <CreateForm id="create-room" label="New room" charsMax={ROOM_NAME_CHARS_MAX} />
        </List>
        <List id="shells" title="Shells" empty="No shells yet. Open one from a host of an organisation." />
      </div>
      <div>
        <List id="orgs" title="Organisations" empty="No organisations yet. An organisation holds SSH hosts and says who may use them.">
          <CreateForm id="create-org" label="New organisation" charsMax={ORG_NAME_CHARS_MAX} />
        </List>
      </div>
    </div>
    <RoomRow />
    <ShellRow />
    <OrgRow />
    <HostRow />
    <MembersDialog />
    <OrgDialog />
    <HostDialog />
    <CommandDialog />
    <StepUpDialog lang="en" words={ACCOUNT_WORDS.en} />
  </AppPage>
)
