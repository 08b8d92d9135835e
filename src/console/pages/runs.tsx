import type { FC } from 'hono/jsx'
import { RUN_PARALLEL_MAX } from '../../contract/runs.ts'
import { COMMAND_CHARS_MAX } from '../../contract/shell.ts'
import { Area, Choice, Field, Form } from '../fields.tsx'
import { AppPage, Lost } from '../layout.tsx'
import { ACCOUNT_WORDS } from '../words/account.ts'
import { TimeLimitField } from './inputs.tsx'
import { List } from './list.tsx'
import { StepUpDialog } from './step-up.tsx'

const RunRow: FC = () => (
  <template id="run-row">
    <li>
      <details class="run">
        <summary class="row record">
          <span class="name mono" data-slot="command" />
          <span class="facts">
            <span class="badge" data-slot="state" />
            <span class="soft" data-slot="counts" />
            <span class="soft" data-slot="by" />
          </span>
          <time data-slot="created" />
        </summary>
        <div class="alert" role="alert" tabindex={-1} data-slot="alert" hidden />
        <ul class="rows" data-slot="hosts" />
        <p class="actions">
          <button type="button" class="quiet small" data-slot="more" hidden>
            Show more
          </button>
          <button type="button" class="quiet small danger" data-slot="cancel" hidden>
            Cancel
          </button>
        </p>
      </details>
    </li>
  </template>
)

const RunHostRow: FC = () => (
  <template id="run-host-row">
    <li class="row record">
      <span class="name" data-slot="name" />
      <span class="facts">
        <span class="badge" data-slot="end" />
        <span class="soft" data-slot="length" />
        <a class="soft" data-slot="recording" href="/app" hidden>
          Recording
        </a>
      </span>
      <pre class="said" data-slot="stdout" tabindex={0} hidden />
      <pre class="said bad" data-slot="stderr" tabindex={0} hidden />
    </li>
  </template>
)

const RequestRow: FC = () => (
  <template id="request-row">
    <li class="row record">
      <span class="name" data-slot="host" />
      <span class="reason" data-slot="reason" />
      <span class="facts">
        <span class="badge" data-slot="state" />
        <span class="soft" data-slot="by" />
        <span class="soft" data-slot="length" />
      </span>
      <time data-slot="created" />
      <span class="buttons">
        <button type="button" class="button small" data-slot="approve" hidden>
          Approve
        </button>
        <button type="button" class="quiet small" data-slot="deny" hidden>
          Deny
        </button>
        <button type="button" class="quiet small danger" data-slot="end" hidden>
          End
        </button>
      </span>
    </li>
  </template>
)

const StartForm: FC = () => (
  <Form id="start-run" label="Run a command" hidden>
    <Choice id="start-run-on" label="On" options={[]} />
    <Area
      id="start-run-command"
      label="Command"
      rows={2}
      maxlength={COMMAND_CHARS_MAX}
      hint="It and who ran it go on record. It goes on when you leave this page."
      required
    />
    <div class="pair">
      <Field id="start-run-parallel" label="Hosts at a time" type="number" min={1} max={RUN_PARALLEL_MAX} value="5" required />
      <TimeLimitField id="start-run-timeoutSeconds" />
    </div>
    <label class="check">
      <input type="checkbox" id="start-run-stop" /> Begin nothing more after the first failure
    </label>
    <button type="submit" class="button">
      Run
    </button>
  </Form>
)

const AskForm: FC = () => (
  <Form id="ask" label="Ask for access" hidden>
    <Choice id="ask-host" label="Host" options={[]} />
    <Field id="ask-reason" label="What for" autocomplete="off" maxlength={300} required />
    <Choice
      id="ask-seconds"
      label="For"
      options={[
        ['3600', 'an hour'],
        ['900', 'a quarter of an hour'],
        ['14400', 'four hours'],
        ['28800', 'eight hours'],
      ]}
    />
    <button type="submit" class="button">
      Ask the owners
    </button>
  </Form>
)

/** What an organisation runs on many hosts at once, and who asks to reach which. */
export const RunsPage: FC<{ readonly orgId: string }> = ({ orgId }) => (
  <AppPage title="Runs" island="runs" layout="wide">
    <Lost />
    <div id="runs-page" data-org-id={orgId}>
      <div class="heading">
        <h1 id="runs-name">Runs</h1>
        <p class="soft">One command on many hosts, some at a time; and access for a while, which owners give.</p>
      </div>
      <div class="columns">
        <List id="runs" title="Runs" empty="Nothing was run on many hosts yet." lead={<StartForm />} />
        <List id="requests" title="Access requests" empty="Nobody has asked for access." lead={<AskForm />} />
      </div>
    </div>
    <RunRow />
    <RunHostRow />
    <RequestRow />
    <StepUpDialog lang="en" words={ACCOUNT_WORDS.en} />
  </AppPage>
)
