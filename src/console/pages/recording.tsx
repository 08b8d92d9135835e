import type { FC } from 'hono/jsx'
import { AppPage, Lost } from '../layout.tsx'

/** A recording, played. */
export const RecordingPage: FC<{ readonly shellId: string }> = ({ shellId }) => (
  <AppPage title="Recording" island="recording" layout="full">
    <Lost />
    <div class="page" id="page">
      <div class="bar" id="recording" data-shell-id={shellId}>
        <h1 id="recording-name">Recording</h1>
        <p class="status" id="recording-status" role="status" data-state="connecting">
          Loading…
        </p>
        <span class="soft" id="recording-facts" />
        <button type="button" class="quiet small" id="verify" disabled>
          Verify
        </button>
        <button type="button" class="quiet small" id="save-asciicast" disabled>
          Save cast
        </button>
        <button type="button" class="quiet small" id="save-text" disabled>
          Save text
        </button>
      </div>
      <div class="bar" id="seek-row" hidden>
        <label for="seek">Moment</label>
        <input type="range" id="seek" min="0" value="0" />
        <output class="soft" id="seek-at" for="seek" />
      </div>
      <div class="tty stage" id="player" />
    </div>
  </AppPage>
)
