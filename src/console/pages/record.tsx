import type { FC } from 'hono/jsx'
import { Field, Form } from '../fields.tsx'
import { Alert } from '../layout.tsx'
import { Submit } from './inputs.tsx'

const COLUMNS = ['When', 'What', 'Who', 'About', 'Why', 'Link']

const Filter: FC = () => (
  <Form id="filter" class="filter" label="Filter the record">
    <Field id="filter-action" label="Action" class="mono" placeholder="session." autocomplete="off" pattern="[a-z][a-z0-9.\-]*" />
    <Field id="filter-actor" label="Who" class="mono" placeholder="usr_…" autocomplete="off" pattern="[a-z0-9_]*" maxlength={64} />
    <Field id="filter-subject" label="About" class="mono" autocomplete="off" maxlength={200} />
    <Field id="filter-from" label="From" type="date" />
    <Field id="filter-to" label="Until" type="date" />
    <Submit>Show</Submit>
  </Form>
)

/** The platform's record: filtered, page by page, verified, and taken along as a file. */
export const RecordPanel: FC = () => (
  <section class="panel" aria-labelledby="record-title" id="record" aria-busy="true" data-record>
    <div class="between">
      <h2 id="record-title">Record</h2>
      <p class="actions">
        <button type="button" class="quiet small" id="verify-record">
          Verify
        </button>
        <button type="button" class="quiet small" id="export-csv">
          CSV
        </button>
        <button type="button" class="quiet small" id="export-jsonl">
          JSON
        </button>
      </p>
    </div>
    <p class="verdict" id="record-verdict" role="status" hidden />
    <Filter />
    <Alert id="record-alert" />
    <table class="record">
      <thead>
        <tr>
          {COLUMNS.map((name) => (
            <th scope="col">{name}</th>
          ))}
        </tr>
      </thead>
      <tbody id="record-list" />
    </table>
    <p class="empty" id="record-empty" hidden>
      Nothing on record is like this.
    </p>
    <p class="loading" id="record-loading">
      Loading…
    </p>
    <button type="button" class="quiet small more" id="record-more" hidden>
      Show more
    </button>
    <template id="record-row">
      <tr>
        <td>
          <time data-slot="at" />
        </td>
        <td>
          <span data-slot="action" />
        </td>
        <td>
          <button type="button" class="link id" data-slot="actor" />
        </td>
        <td>
          <button type="button" class="link id" data-slot="subject" />
        </td>
        <td data-slot="cause" />
        <td class="seq" data-slot="seq" />
      </tr>
    </template>
  </section>
)
