import type { Child, FC } from 'hono/jsx'
import { CODE_DIGITS, EMAIL_CHARS_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN } from '../../contract/identity.ts'
import { EXEC_TIMEOUT_SECONDS_MAX } from '../../contract/shell.ts'
import { Choice, Field } from '../fields.tsx'

interface InputProps {
  readonly id: string
  readonly label: string
}

/** A mail address; where it is what one signs in with, browsers offer passkeys with it. */
export const EmailField: FC<InputProps & { readonly isLogin?: boolean }> = ({ id, label, isLogin = false }) => (
  <Field id={id} label={label} type="email" autocomplete={isLogin ? 'username webauthn' : 'email'} maxlength={EMAIL_CHARS_MAX} required />
)

/** A code that was mailed. */
export const CodeField: FC<InputProps & { readonly title: string }> = ({ id, label, title }) => (
  <Field
    id={id}
    label={label}
    class="code"
    inputmode="numeric"
    autocomplete="one-time-code"
    pattern={`[0-9]{${CODE_DIGITS}}`}
    maxlength={CODE_DIGITS}
    title={title}
    required
  />
)

/** The password that is in use. */
export const PasswordField: FC<InputProps> = ({ id, label }) => (
  <Field id={id} label={label} type="password" autocomplete="current-password" maxlength={PASSWORD_CHARS_MAX} required />
)

/** A password that is chosen. */
export const NewPasswordField: FC<InputProps & { readonly hint: string; readonly min?: number }> = ({
  id,
  label,
  hint,
  min = PASSWORD_CHARS_MIN,
}) => (
  <Field
    id={id}
    label={label}
    hint={hint}
    type="password"
    autocomplete="new-password"
    minlength={min}
    maxlength={PASSWORD_CHARS_MAX}
    required
  />
)

/** The language somebody is written to in. */
export const LocaleChoice: FC<InputProps> = ({ id, label }) => (
  <Choice
    id={id}
    label={label}
    options={[
      ['en', 'English'],
      ['fr', 'Français'],
    ]}
  />
)

/** How long a command may take. */
export const TimeLimitField: FC<Pick<InputProps, 'id'>> = ({ id }) => (
  <Field id={id} label="Time limit, in seconds" type="number" min={1} max={EXEC_TIMEOUT_SECONDS_MAX} value="30" required />
)

/** The button that sends a form. */
export const Submit: FC<{ readonly children: Child }> = ({ children }) => (
  <button type="submit" class="button">
    {children}
  </button>
)
