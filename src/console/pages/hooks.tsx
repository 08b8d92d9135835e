import type { FC } from 'hono/jsx'
import { HOOK_DEADLINE_MS_DEFAULT, HOOK_DEADLINE_MS_MAX, HOOK_DEADLINE_MS_MIN } from '../../contract/hooks.ts'
import { Choice, Dialog, Field, Form } from '../fields.tsx'
import { AppPage, Lost } from '../layout.tsx'
import { Submit } from './inputs.tsx'
import { List } from './list.tsx'

const HookRow: FC = () => (
  <template id="hook-row">
    <li class="row hook">
      <span class="name mono" data-slot="point" />
      <span class="buttons">
        <button type="button" class="quiet small" data-slot="change">
          Point
        </button>
        <button type="button" class="quiet small danger" data-slot="remove" hidden>
          Remove
        </button>
      </span>
      <p class="soft" data-slot="when" />
      <p class="facts">
        <span class="badge" data-slot="state" />
        <code data-slot="target" />
        <span class="soft" data-slot="terms" />
      </p>
    </li>
  </template>
)

const WebhookRow: FC = () => (
  <template id="webhook-row">
    <li class="row hook">
      <span class="name mono" data-slot="url" />
      <span class="buttons">
        <button type="button" class="quiet small" data-slot="stop">
          Stop
        </button>
        <button type="button" class="quiet small" data-slot="rotate">
          New secret
        </button>
        <button type="button" class="quiet small danger" data-slot="remove">
          Delete
        </button>
      </span>
      <p class="facts">
        <span class="badge" data-slot="state" />
        <span class="soft" data-slot="kinds" />
      </p>
    </li>
  </template>
)

const PointDialog: FC = () => (
  <Dialog id="point" title="Point a hook">
    <p class="soft" id="point-when" />
    <Form id="point-hook" label="Whom to ask or tell">
      <Choice id="point-hook-target" label="Whom" options={[]} />
      <div class="pair even" id="point-hook-terms">
        <Field
          id="point-hook-deadlineMs"
          label="Milliseconds to decide"
          type="number"
          min={HOOK_DEADLINE_MS_MIN}
          max={HOOK_DEADLINE_MS_MAX}
          value={String(HOOK_DEADLINE_MS_DEFAULT)}
          required
        />
        <Choice
          id="point-hook-failMode"
          label="When it does not decide"
          options={[
            ['closed', 'begin nothing'],
            ['open', 'go on'],
          ]}
        />
      </div>
      <Submit>Save</Submit>
    </Form>
  </Dialog>
)

const SecretDialog: FC = () => (
  <Dialog id="secret" title="The webhook’s secret">
    <p>What we send is signed with it. It is shown this once: keep it where the receiver finds it.</p>
    <pre tabindex={0}>
      <code id="secret-text" />
    </pre>
    <p class="actions">
      <button type="button" class="quiet" id="secret-copy">
        Copy
      </button>
      <button type="button" class="button" data-close>
        I have kept it
      </button>
    </p>
  </Dialog>
)

const CreateForm: FC = () => (
  <Form id="create-webhook" class="inline" label="Add a webhook">
    <Field
      id="create-webhook-url"
      label="URL that is sent to"
      type="url"
      class="mono"
      placeholder="https://gate.example.org/parvis"
      autocomplete="off"
      spellcheck={false}
      required
    />
    <Submit>Add</Submit>
  </Form>
)

/** Whom an organisation asks before something begins on its hosts, and tells of what happened there. */
export const HooksPage: FC<{ readonly orgId: string }> = ({ orgId }) => (
  <AppPage title="Hooks" island="hooks" layout="wide">
    <Lost />
    <div id="hooks-page" data-org-id={orgId}>
      <div class="heading">
        <h1 id="hooks-name">Hooks</h1>
        <p class="soft">Somebody else’s word on what begins on the hosts, and news of what happened there.</p>
      </div>
      <div class="columns">
        <List id="hooks" title="Points" empty="" />
        <List id="webhooks" title="Webhooks" empty="No webhooks yet. Add the address of what decides or listens." lead={<CreateForm />} />
      </div>
    </div>
    <HookRow />
    <WebhookRow />
    <PointDialog />
    <SecretDialog />
  </AppPage>
)
