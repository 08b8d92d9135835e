import type { FC } from 'hono/jsx'
import { SEARCH_CHARS_MAX, SEARCH_CHARS_MIN } from '../../contract/recordings.ts'
import { Choice, Field, Form } from '../fields.tsx'
import { AppPage, Lost } from '../layout.tsx'
import { List } from './list.tsx'

const LiveRow: FC = () => (
  <template id="live-row">
    <li class="row record">
      <a data-slot="name" class="name" href="/app">
        …
      </a>
      <span class="facts">
        <span class="badge" data-slot="state" />
        <span class="soft" data-slot="by" />
      </span>
      <time data-slot="started" />
    </li>
  </template>
)

const RecordingRow: FC = () => (
  <template id="recording-row">
    <li class="row record">
      <a data-slot="name" class="name" href="/app">
        …
      </a>
      <span class="facts">
        <span class="badge" data-slot="kind" />
        <span class="soft" data-slot="by" />
        <span class="soft" data-slot="length" />
      </span>
      <time data-slot="started" />
    </li>
  </template>
)

const CommandRow: FC = () => (
  <template id="command-row">
    <li class="row record">
      <a class="name mono" data-slot="command" href="/app">
        …
      </a>
      <span class="facts">
        <span class="badge" data-slot="end" />
        <span class="soft" data-slot="by" />
        <span class="soft" data-slot="host" />
      </span>
      <time data-slot="started" />
    </li>
  </template>
)

const MatchRow: FC = () => (
  <template id="match-row">
    <li class="row record">
      <a class="name mono" data-slot="line" href="/app">
        …
      </a>
      <span class="facts">
        <span class="soft" data-slot="host" />
        <span class="soft" data-slot="at" />
      </span>
    </li>
  </template>
)

const SearchForm: FC = () => (
  <Form id="search" class="inline">
    <Field id="search-text" label="Find what was shown" autocomplete="off" minlength={SEARCH_CHARS_MIN} maxlength={SEARCH_CHARS_MAX} />
    <button type="submit" class="button">
      Find
    </button>
  </Form>
)

const FilterForm: FC = () => (
  <Form id="filter" class="inline">
    <Field id="filter-text" label="In the command" autocomplete="off" maxlength={SEARCH_CHARS_MAX} />
    <Choice
      id="filter-kind"
      label="From"
      options={[
        ['', 'everywhere'],
        ['exec', 'commands'],
        ['pty', 'terminals'],
      ]}
    />
    <button type="submit" class="button">
      Filter
    </button>
  </Form>
)

/** What happened on an organisation's hosts: recordings and the command log. */
export const RecordsPage: FC<{ readonly orgId: string }> = ({ orgId }) => (
  <AppPage title="Records" island="records" layout="wide">
    <Lost />
    <div id="records" data-org-id={orgId}>
      <div class="heading">
        <h1 id="records-name">Records</h1>
        <p class="soft" id="records-note">
          Every terminal and command on the hosts is recorded and signed.
        </p>
      </div>
      <List id="live" title="Open now" empty="No shell is open." />
      <div class="columns">
        <List id="recordings" title="Recordings" empty="Nothing is recorded here." lead={<SearchForm />} />
        <List id="commands" title="Command log" empty="No command here." lead={<FilterForm />}>
          <p class="actions">
            <button type="button" class="quiet small" id="export-csv">
              Export CSV
            </button>
            <button type="button" class="quiet small" id="export-jsonl">
              Export JSON Lines
            </button>
          </p>
        </List>
      </div>
    </div>
    <LiveRow />
    <RecordingRow />
    <MatchRow />
    <CommandRow />
  </AppPage>
)
