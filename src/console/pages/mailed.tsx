import type { Child, FC } from 'hono/jsx'
import type { Locale } from '../../contract/identity.ts'
import { Form } from '../fields.tsx'
import { MailedPage } from '../layout.tsx'
import { ACCOUNT_WORDS } from '../words/account.ts'
import { FRAME_WORDS } from '../words/frame.ts'
import { MAILED_WORDS, type MailedWords } from '../words/mailed.ts'
import { CodeField, EmailField, NewPasswordField, Submit } from './inputs.tsx'
import { StepUpDialog } from './step-up.tsx'

interface LangProps {
  readonly lang: Locale
}

interface StepsProps {
  readonly words: MailedWords
  /** What the question for a mail says, and its button. */
  readonly ask: { readonly lead: string; readonly label?: string; readonly button: string; readonly aside?: Child }
  /** What the code needs beside itself, and its button. */
  readonly code: { readonly beside?: Child; readonly button: string }
  /** What is shown to whoever comes by the link. */
  readonly children: Child
}

/** Three ways to one thing: ask for a mail, enter its code, use its link. The island shows one at a time. */
const Steps: FC<StepsProps> = ({ words, ask, code, children }) => (
  <>
    <div id="ask-step" hidden>
      <p>{ask.lead}</p>
      <Form id="ask">
        <EmailField id="ask-email" label={ask.label ?? words.email} />
        <Submit>{ask.button}</Submit>
      </Form>
      {ask.aside}
    </div>
    <div id="code-step" hidden>
      <p>{words.onItsWay}</p>
      <Form id="code">
        <CodeField id="code-code" label={words.code} title={words.codeTitle} />
        {code.beside}
        <Submit>{code.button}</Submit>
      </Form>
      <p class="aside">
        {words.noMail}{' '}
        <button type="button" class="link" id="again">
          {words.again}
        </button>
        .
      </p>
    </div>
    <div id="link-step" hidden>
      {children}
    </div>
  </>
)

const Incomplete: FC<{ readonly children: Child }> = ({ children }) => (
  <p class="notice" id="incomplete" hidden>
    {children}
  </p>
)

const ToDashboard: FC<LangProps> = ({ lang }) => (
  <p class="aside">
    <a href="/app">{FRAME_WORDS[lang].toDashboard}</a>
  </p>
)

/** Proves the address of a registration by its link; on another browser than the one that registered, with a password of one's own. */
export const ConfirmPage: FC<LangProps> = ({ lang }) => {
  const words = MAILED_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.confirmTitle} island="confirm">
      <Incomplete>{words.incomplete}</Incomplete>
      <div id="confirm-step" hidden>
        <p>{words.confirmHere}</p>
        <Form id="confirm">
          <Submit>{words.confirm}</Submit>
        </Form>
      </div>
      <div id="choose-step" hidden>
        <p>{words.chooseLead}</p>
        <Form id="choose">
          <NewPasswordField id="choose-password" label={words.newPassword} hint={words.passwordHint} />
          <Submit>{words.create}</Submit>
        </Form>
        <p class="aside">{words.chooseWhy}</p>
      </div>
    </MailedPage>
  )
}

/** Signs in by mail: asks for one, takes its code, or uses its link. */
export const MailLoginPage: FC<LangProps> = ({ lang }) => {
  const words = MAILED_WORDS[lang]
  const aside = (
    <p class="aside">
      <a href="/login">{words.withPassword}</a>
    </p>
  )
  return (
    <MailedPage lang={lang} title={words.mailLoginTitle} island="mail-login">
      <Steps words={words} ask={{ lead: words.mailLoginLead, button: words.mailMe, aside }} code={{ button: words.signIn }}>
        <p id="link-own">{words.mailLoginHere}</p>
        <p class="notice" id="link-foreign" hidden>
          {words.mailLoginForeign}
        </p>
        <Form id="link">
          <Submit>{words.signIn}</Submit>
        </Form>
      </Steps>
    </MailedPage>
  )
}

/** Replaces a forgotten password: asks for a mail, takes its code, or uses its link. */
export const ResetPage: FC<LangProps> = ({ lang }) => {
  const words = MAILED_WORDS[lang]
  const passwordAt = (form: string) => (
    <>
      <NewPasswordField id={`${form}-newPassword`} label={words.newPassword} hint={words.passwordHint} />
      <label class="check">
        <input type="checkbox" id={`${form}-endApiKeys`} /> {words.endApiKeys}
      </label>
    </>
  )
  return (
    <MailedPage lang={lang} title={words.resetTitle} island="reset">
      <Steps
        words={words}
        ask={{ lead: words.resetLead, button: words.mailCode }}
        code={{ beside: passwordAt('code'), button: words.setPassword }}
      >
        <p>{words.resetWarning}</p>
        <Form id="link">
          {passwordAt('link')}
          <Submit>{words.setPassword}</Submit>
        </Form>
      </Steps>
    </MailedPage>
  )
}

/** Changes the address of the account that is signed in here: asks for a mail to the new one, takes its code, or uses its link. */
export const EmailPage: FC<LangProps> = ({ lang }) => {
  const words = MAILED_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.emailTitle} island="email">
      <p class="notice" id="done" role="status" hidden>
        {words.emailDone}
      </p>
      <Steps
        words={words}
        ask={{ lead: words.emailLead, label: words.newEmail, button: words.mailCode }}
        code={{ button: words.confirmNew }}
      >
        <p>{words.emailHere}</p>
        <Form id="link">
          <Submit>{words.confirmNew}</Submit>
        </Form>
      </Steps>
      <ToDashboard lang={lang} />
      <StepUpDialog lang={lang} words={ACCOUNT_WORDS[lang]} />
    </MailedPage>
  )
}

/** Takes an account back by the link that its owner was mailed. */
export const RestorePage: FC<LangProps> = ({ lang }) => {
  const words = MAILED_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.restoreTitle} island="restore">
      <Incomplete>{words.incomplete}</Incomplete>
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
  const words = MAILED_WORDS[lang]
  return (
    <MailedPage lang={lang} title={words.invitationTitle} island="invitation">
      <Incomplete>{words.invitationIncomplete}</Incomplete>
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
      <ToDashboard lang={lang} />
    </MailedPage>
  )
}
