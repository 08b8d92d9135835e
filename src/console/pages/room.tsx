import type { FC } from 'hono/jsx'
import { Dialog, Field, Form } from '../fields.tsx'
import { AppPage, Lost } from '../layout.tsx'

/** UTF-16 units of one paste that still fit one frame of a room in UTF-8. */
const PASTE_CHARS_MAX = 300_000

/** A shared text and who is in it. */
export const RoomPage: FC<{ readonly roomId: string }> = ({ roomId }) => (
  <AppPage title="Room" island="room" layout="full">
    <Lost />
    <div class="page" id="page">
      <div class="bar" id="room" data-room-id={roomId}>
        <h1 id="room-name">Room</h1>
        <span class="badge" id="room-role" hidden />
        <p class="status" id="room-status" role="status" data-state="connecting">
          Connecting…
        </p>
        <p class="soft" id="room-saved" />
      </div>
      <div class="room">
        <textarea
          id="text"
          aria-label="Shared text"
          maxlength={PASTE_CHARS_MAX}
          spellcheck={false}
          placeholder="Connecting…"
          readonly
          autocomplete="off"
        />
        <aside aria-labelledby="present-title">
          <h2 id="present-title">In the room</h2>
          <ul class="present" id="present" />
          <button type="button" class="quiet small" id="rename" disabled>
            Change your name
          </button>
        </aside>
      </div>
    </div>
    <template id="present-row">
      <li>
        <span class="dot" aria-hidden="true" data-slot="dot" />
        <span class="name" data-slot="name" />
        <span class="soft" data-slot="place" />
      </li>
    </template>
    <Dialog id="naming" title="Your name in rooms">
      <Form id="name-form" label="Your name">
        <Field
          id="name-form-name"
          label="Name"
          hint="Others in a room see it. It stays in this browser."
          autocomplete="nickname"
          maxlength={40}
          required
        />
        <button type="submit" class="button">
          Use this name
        </button>
      </Form>
    </Dialog>
  </AppPage>
)
