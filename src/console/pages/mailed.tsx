import type { Child, FC } from 'hono/jsx'
import { CODE_DIGITS, EMAIL_CHARS_MAX, type Locale, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN } from '../../contract/identity.ts'
import { Field, Form } from '../fields.tsx'
import { MailedPage } from '../layout.tsx'
import { PAGE_WORDS, type PageWords } from '../words.ts'

interface LangProps {
  readonly lang: Locale
}

interface WordsProps {
  readonly id: string
  readonly words: PageWords
}

const EmailField: FC<WordsProps & { readonly label?: string }> = ({ id, words, label = words.email }) => (
  <Field id={id} label={label} type="email" autocomplete="email" maxlength={EMAIL_CHARS_MAX} required />
)

const CodeField: FC<WordsProps> = ({ id, words }) => (
  <Field
    id={id}
    label={words.code}
    class="code"
    inputmode="numeric"
    autocomplete="one-time-code"
    pattern={`[0-9]{${CODE_DIGITS}}`}
    maxlength={CODE_DIGITS}
    title={words.codeTitle}
    required
  />
)

const PasswordField: FC<WordsProps> = ({ id, words }) => (
  <Field
    id={id}
    label={words.newPassword}
    hint={words.passwordHint}
    type="password"
    autocomplete="new-password"
    minlength={PASSWORD_CHARS_MIN}
    maxlength={PASSWORD_CHARS_MAX}
    required
  />
)

const Submit: FC<{ readonly children: Child }> = ({ children }) => (
  <button type="submit" class="button">
    {children}
  </button>
)

const Again: FC<{ readonly words: PageWords }> = ({ words }) => (
  <p class="aside">
    {words.noMail}{' '}
    <button type="button" class="link" id="again">
      {words.again}
    </button>
    .
  </p>
)

/** Proves the address of a registration by its link; on another browser than the one that registered, with a password of one's own. */
export const ConfirmPage: FC<LangProps> = ({ lang }) => {
  const words = PAGE_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.confirmTitle} island="confirm">
      <p class="notice" id="incomplete" hidden>
        {words.incomplete}
      </p>
      <div id="confirm-step" hidden>
        <p>{words.confirmHere}</p>
        <Form id="confirm">
          <Submit>{words.confirm}</Submit>
        </Form>
      </div>
      <div id="choose-step" hidden>
        <p>{words.chooseLead}</p>
        <Form id="choose">
          <PasswordField id="choose-password" words={words} />
          <Submit>{words.create}</Submit>
        </Form>
        <p class="aside">{words.chooseWhy}</p>
      </div>
    </MailedPage>
  )
}

/** Signs in by mail: asks for one, takes its code, or uses its link. */
export const MailLoginPage: FC<LangProps> = ({ lang }) => {
  const words = PAGE_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.mailLoginTitle} island="mail-login">
      <div id="ask-step" hidden>
        <p>{words.mailLoginLead}</p>
        <Form id="ask">
          <EmailField id="ask-email" words={words} />
          <Submit>{words.mailMe}</Submit>
        </Form>
        <p class="aside">
          <a href="/login">{words.withPassword}</a>
        </p>
      </div>
      <div id="code-step" hidden>
        <p>{words.onItsWay}</p>
        <Form id="code">
          <CodeField id="code-code" words={words} />
          <Submit>{words.signIn}</Submit>
        </Form>
        <Again words={words} />
      </div>
      <div id="link-step" hidden>
        <p id="link-own">{words.mailLoginHere}</p>
        <p class="notice" id="link-foreign" hidden>
          {words.mailLoginForeign}
        </p>
        <Form id="link">
          <Submit>{words.signIn}</Submit>
        </Form>
      </div>
    </MailedPage>
  )
}

/** Replaces a forgotten password: asks for a mail, takes its code, or uses its link. */
export const ResetPage: FC<LangProps> = ({ lang }) => {
  const words = PAGE_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.resetTitle} island="reset">
      <div id="ask-step" hidden>
        <p>{words.resetLead}</p>
        <Form id="ask">
          <EmailField id="ask-email" words={words} />
          <Submit>{words.mailCode}</Submit>
        </Form>
      </div>
      <div id="code-step" hidden>
        <p>{words.onItsWay}</p>
        <Form id="code">
          <CodeField id="code-code" words={words} />
          <PasswordField id="code-newPassword" words={words} />
          <Submit>{words.setPassword}</Submit>
        </Form>
        <Again words={words} />
      </div>
      <div id="link-step" hidden>
        <p>{words.resetWarning}</p>
        <Form id="link">
          <PasswordField id="link-newPassword" words={words} />
          <Submit>{words.setPassword}</Submit>
        </Form>
      </div>
    </MailedPage>
  )
}

/** Changes the address of the account that is signed in here: asks for a mail to the new one, takes its code, or uses its link. */
export const EmailPage: FC<LangProps> = ({ lang }) => {
  const words = PAGE_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.emailTitle} island="email">
      <p class="notice" id="done" role="status" hidden>
        {words.emailDone}
      </p>
      <div id="ask-step" hidden>
        <p>{words.emailLead}</p>
        <Form id="ask">
          <EmailField id="ask-email" words={words} label={words.newEmail} />
          <Submit>{words.mailCode}</Submit>
        </Form>
      </div>
      <div id="code-step" hidden>
        <p>{words.onItsWay}</p>
        <Form id="code">
          <CodeField id="code-code" words={words} />
          <Submit>{words.confirmNew}</Submit>
        </Form>
        <Again words={words} />
      </div>
      <div id="link-step" hidden>
        <p>{words.emailHere}</p>
        <Form id="link">
          <Submit>{words.confirmNew}</Submit>
        </Form>
      </div>
      <p class="aside">
        <a href="/app">{words.toDashboard}</a>
      </p>
    </MailedPage>
  )
}

/** Takes a change of address back by the link that the old one was mailed. */
export const RestorePage: FC<LangProps> = ({ lang }) => {
  const words = PAGE_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.restoreTitle} island="restore">
      <p class="notice" id="incomplete" hidden>
        {words.incomplete}
      </p>
      <div id="restore-step" hidden>
        <p>{words.restoreLead}</p>
        <Form id="restore">
          <Submit>{words.restore}</Submit>
        </Form>
      </div>
    </MailedPage>
  )
}

/** Joins an organisation by a mailed invitation, with the account that is signed in here. */
export const InvitationPage: FC<LangProps> = ({ lang }) => {
  const words = PAGE_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.invitationTitle} island="invitation">
      <p class="notice" id="incomplete" hidden>
        {words.invitationIncomplete}
      </p>
      <p class="notice" id="useless" hidden>
        {words.invitationUseless}
      </p>
      <p class="notice" id="declined" role="status" hidden>
        {words.declined}
      </p>
      <div id="offer" hidden>
        <p>
          {words.invitationTo} <strong id="org-name" />. {words.invitationRole}{' '}
          <span id="role-owner" hidden>
            {words.roleOwner}
          </span>
          <span id="role-operator" hidden>
            {words.roleOperator}
          </span>
          <span id="role-reader" hidden>
            {words.roleReader}
          </span>
        </p>
        <p class="soft">
          {words.invitationUntil} <time id="expires" />.
        </p>
        <Form id="accept">
          <p class="actions">
            <Submit>{words.accept}</Submit>
            <button type="button" class="quiet" id="decline">
              {words.decline}
            </button>
          </p>
        </Form>
      </div>
      <p class="aside" id="account" hidden>
        {words.signedInAs} <strong id="own-email" />.{' '}
        <button type="button" class="link" id="switch-account">
          {words.switchAccount}
        </button>
      </p>
      <p class="aside">
        <a href="/app">{words.toDashboard}</a>
      </p>
    </MailedPage>
  )
}
