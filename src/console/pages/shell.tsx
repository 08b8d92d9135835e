import type { FC } from 'hono/jsx'
import { ANSWER_CHARS_MAX } from '../../contract/krp.ts'
import { Alert, AppPage, Lost } from '../layout.tsx'

/** A terminal on a remote host. */
export const ShellPage: FC<{ readonly shellId: string }> = ({ shellId }) => (
  <AppPage title="Shell" island="shell" layout="full">
    <Lost />
    <div class="page" id="page">
      <div class="bar" id="shell" data-shell-id={shellId}>
        <h1 id="shell-name">Shell</h1>
        <span class="badge" id="shell-seat" hidden />
        <span class="badge" data-tone="live" id="shell-watchers" hidden />
        <span class="badge" data-tone="bad" id="shell-gate" role="status" hidden />
        <span class="badge" data-tone="bad" id="shell-ending" role="status" hidden />
        <p class="status" id="shell-status" role="status" data-state="connecting">
          Connecting…
        </p>
        <p class="hint">
          <kbd>Shift</kbd> <kbd>Esc</kbd> leaves the terminal
        </p>
        <button type="button" class="quiet small" id="lock" hidden>
          Lock input
        </button>
        <button type="button" class="quiet small danger" id="end" hidden>
          End shell
        </button>
      </div>
      <div class="tty" id="terminal" />
    </div>
    <dialog id="prompt" aria-labelledby="prompt-title" aria-describedby="prompt-words">
      <h2 id="prompt-title">The host asks</h2>
      <p class="soft" id="prompt-words" />
      <Alert id="prompt-alert" />
      <form id="prompt-form" method="dialog" autocomplete="off">
        <div class="stack" id="prompt-fields" />
        <p class="actions">
          <button type="submit" class="button">
            Answer
          </button>
          <button type="button" class="quiet" id="prompt-end">
            Give up
          </button>
        </p>
      </form>
    </dialog>
    <template id="prompt-field">
      <div class="field">
        <label>
          <span data-slot="text" />
          <input data-slot="answer" autocomplete="off" spellcheck={false} maxlength={ANSWER_CHARS_MAX} />
        </label>
      </div>
    </template>
  </AppPage>
)
