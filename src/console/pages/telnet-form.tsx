import type { FC } from 'hono/jsx'
import { Choice, Field, Form } from '../fields.tsx'

/** Registers what knows nothing better than Telnet. The island fills in the hosts through which it can be reached. */
export const TelnetForm: FC = () => (
  <Form id="create-telnet" label="A host without SSH" hidden>
    <p>
      For switches and consoles that know nothing better. <strong>Nothing is encrypted</strong> on the last way to it: whoever listens there
      reads what is typed, passwords too. Reach it through a host beside it.
    </p>
    <Field id="create-telnet-name" label="Name" autocomplete="off" maxlength={80} required />
    <div class="pair">
      <Field
        id="create-telnet-address"
        label="Address"
        class="mono"
        placeholder="10.0.7.2"
        autocomplete="off"
        spellcheck={false}
        required
      />
      <Field id="create-telnet-port" label="Port" type="number" min={1} max={65_535} value="23" required />
    </div>
    <Choice id="create-telnet-jumpHostId" label="Reached" options={[['', 'directly']]} />
    <label class="check">
      <input type="checkbox" id="create-telnet-accept" /> I accept that nothing is encrypted; this goes on record
    </label>
    <button type="submit" class="button">
      Add host
    </button>
  </Form>
)
