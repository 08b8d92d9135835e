import type { FC } from 'hono/jsx'
import { DISPLAY_NAME_CHARS_MAX } from '../../contract/account.ts'
import type { Locale } from '../../contract/identity.ts'
import { Field, Form } from '../fields.tsx'
import { Alert } from '../layout.tsx'
import type { AccountWords } from '../words/account.ts'
import { LocaleChoice, Submit } from './inputs.tsx'
import { List } from './list.tsx'

interface WordsProps {
  readonly words: AccountWords
}

/** What a user says of themselves. */
export const ProfilePanel: FC<WordsProps> = ({ words }) => (
  <section class="panel" aria-labelledby="profile-title">
    <h2 id="profile-title">{words.profile}</h2>
    <Form id="profile">
      <Field id="profile-displayName" label={words.called} autocomplete="name" maxlength={DISPLAY_NAME_CHARS_MAX} />
      <LocaleChoice id="profile-locale" label={words.mailLanguage} />
      <Submit>{words.saveProfile}</Submit>
    </Form>
    <p class="notice" id="profile-note" role="status" hidden>
      {words.profileSaved}
    </p>
    <p class="aside">
      <a href="/app/email">{words.changeEmail}</a>
    </p>
  </section>
)

/** What happened to the account, when and from where. */
export const ActivityPanel: FC<WordsProps & { readonly lang: Locale }> = ({ lang, words }) => (
  <>
    <List id="activity" title={words.activity} empty={words.noActivity} lang={lang} />
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
export const DataPanel: FC<WordsProps> = ({ words }) => (
  <section class="panel" aria-labelledby="data-title">
    <h2 id="data-title">{words.data}</h2>
    <Alert id="data-alert" />
    <p>{words.exportLead}</p>
    <p class="actions">
      <button type="button" class="quiet" id="export" disabled>
        {words.download}
      </button>
    </p>
    <p>{words.deleteLead}</p>
    <p class="actions">
      <button type="button" class="quiet danger" id="delete-account" disabled>
        {words.delete}
      </button>
    </p>
  </section>
)
