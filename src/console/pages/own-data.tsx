import type { FC } from 'hono/jsx'
import { DISPLAY_NAME_CHARS_MAX } from '../../contract/account.ts'
import { Choice, Field, Form } from '../fields.tsx'
import { List } from './list.tsx'

/** What a user says of themselves. */
export const ProfilePanel: FC = () => (
  <section class="panel" aria-labelledby="profile-title">
    <h2 id="profile-title">Profile</h2>
    <Form id="profile">
      <Field id="profile-displayName" label="What you are called" autocomplete="name" maxlength={DISPLAY_NAME_CHARS_MAX} />
      <Choice
        id="profile-locale"
        label="Language of your mails"
        options={[
          ['en', 'English'],
          ['fr', 'Français'],
        ]}
      />
      <button type="submit" class="button">
        Save profile
      </button>
    </Form>
    <p class="notice" id="profile-note" role="status" hidden>
      Your profile is saved.
    </p>
    <p class="aside">
      <a href="/app/email">Change your address</a>
    </p>
  </section>
)

/** What happened to the account, when and from where. */
export const ActivityPanel: FC = () => (
  <>
    <List id="activity" title="Activity" empty="Nothing yet." />
    <template id="activity-row">
      <li class="row">
        <span class="name">
          <span data-slot="action" /> <span class="soft" data-slot="from" />
        </span>
        <time data-slot="at" />
      </li>
    </template>
  </>
)

/** Takes everything along, or leaves for good. */
export const DataPanel: FC = () => (
  <section class="panel" aria-labelledby="data-title">
    <h2 id="data-title">Your data</h2>
    <div class="alert" id="data-alert" role="alert" tabindex={-1} hidden />
    <p>Download everything that is kept about you, as JSON.</p>
    <p class="actions">
      <button type="button" class="quiet" id="export" disabled>
        Download
      </button>
    </p>
    <p>
      Or delete your account: every device is signed out at once and everything is erased within minutes, for good. Rooms and organisations
      stay with their other members.
    </p>
    <p class="actions">
      <button type="button" class="quiet danger" id="delete-account" disabled>
        Delete my account
      </button>
    </p>
  </section>
)
