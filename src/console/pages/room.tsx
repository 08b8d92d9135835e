import type { FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { MESSAGE_CHARS_MAX } from '../../contract/room-messages.ts'
import { Dialog, Field, Form } from '../fields.tsx'
import { AppPage, Lost } from '../layout.tsx'
import { ROOM_WORDS } from '../words/room.ts'

/** UTF-16 units of one paste that still fit one frame of a room in UTF-8. */
const PASTE_CHARS_MAX = 300_000

interface WordsProps {
  readonly words: (typeof ROOM_WORDS)[Locale]
}

const Composer: FC<WordsProps> = ({ words }) => (
  <>
    <form class="composer" id="composer" hidden>
      <p class="purpose" id="purpose" hidden>
        <span id="purpose-text" />
        <button type="button" class="link" id="purpose-cancel">
          {words.cancel}
        </button>
      </p>
      <textarea id="message" aria-label={words.write} placeholder={words.write} rows={1} maxlength={MESSAGE_CHARS_MAX} autocomplete="off" />
      <button type="submit" class="button small">
        {words.send}
      </button>
    </form>
    <p class="composer soft" id="composer-none" hidden>
      {words.viewer}
    </p>
  </>
)

const Conversation: FC<WordsProps> = ({ words }) => (
  <section class="talk" aria-labelledby="talk-title">
    <h2 id="talk-title">{words.conversation}</h2>
    <div class="messages" id="messages-view" tabindex={0} role="log" aria-labelledby="talk-title">
      <button type="button" class="quiet small older" id="messages-older" hidden>
        {words.older}
      </button>
      <p class="empty" id="messages-empty" hidden>
        {words.noMessage}
      </p>
      <ol id="messages" />
      <p class="receipt" id="messages-read" />
    </div>
    <button type="button" class="button small newest" id="to-newest" hidden>
      {words.newest}
    </button>
    <p class="typing" id="messages-typing" aria-live="polite" />
    <Composer words={words} />
  </section>
)

const MessageRow: FC<WordsProps> = ({ words }) => (
  <template id="message-row">
    <li class="message">
      <span class="face" aria-hidden="true" data-slot="face" />
      <p class="from">
        <strong data-slot="name" />
        <time data-slot="at" />
        <span class="soft" data-slot="edited">
          {words.edited}
        </span>
      </p>
      <blockquote data-slot="quote" />
      <p class="said" data-slot="text" dir="auto" />
      <p class="reactions" data-slot="reactions" />
      <div class="acts" data-slot="actions">
        <span class="palette" data-slot="palette" />
        <button type="button" class="link" data-slot="reply">
          {words.reply}
        </button>
        <button type="button" class="link" data-slot="edit">
          {words.edit}
        </button>
        <button type="button" class="link danger" data-slot="delete">
          {words.remove}
        </button>
      </div>
    </li>
  </template>
)

const Naming: FC<WordsProps & { readonly lang: Locale }> = ({ words, lang }) => (
  <Dialog id="naming" title={words.yourName} lang={lang}>
    <Form id="name-form" label={words.yourName}>
      <Field id="name-form-name" label={words.name} hint={words.nameHint} autocomplete="nickname" maxlength={40} required />
      <button type="submit" class="button">
        {words.useName}
      </button>
    </Form>
  </Dialog>
)

/** A shared text, who is in it, and what they say to each other. */
export const RoomPage: FC<{ readonly roomId: string; readonly lang: Locale }> = ({ roomId, lang }) => {
  const words = ROOM_WORDS[lang]
  return (
    <AppPage title={words.room} lang={lang} island="room" layout="full">
      <Lost lang={lang} />
      <div class="page" id="page">
        <div class="bar" id="room" data-room-id={roomId}>
          <h1 id="room-name">{words.room}</h1>
          <span class="badge" id="room-role" hidden />
          <p class="status" id="room-status" role="status" data-state="connecting">
            {words.connecting}
          </p>
          <p class="soft" id="room-saved" />
        </div>
        <div class="room" id="room-views" data-view="text">
          <aside aria-labelledby="present-title">
            <h2 id="present-title">{words.here}</h2>
            <ul class="present" id="present" />
            <button type="button" class="quiet small" id="rename" disabled>
              {words.rename}
            </button>
          </aside>
          <div class="tabs">
            <button type="button" id="tab-text" aria-pressed="true">
              {words.textTab}
            </button>
            <button type="button" id="tab-talk" aria-pressed="false">
              {words.conversation} <span class="count" id="tab-news" hidden />
            </button>
          </div>
          <textarea
            id="text"
            aria-label={words.text}
            maxlength={PASTE_CHARS_MAX}
            spellcheck={false}
            placeholder={words.connecting}
            readonly
            autocomplete="off"
          />
          <Conversation words={words} />
        </div>
      </div>
      <template id="present-row">
        <li>
          <span class="face" aria-hidden="true" data-slot="face" />
          <span class="name" data-slot="name" />
          <span class="soft" data-slot="place" />
        </li>
      </template>
      <MessageRow words={words} />
      <Naming words={words} lang={lang} />
    </AppPage>
  )
}
