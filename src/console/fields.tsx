import type { Child, FC, JSX } from 'hono/jsx'
import type { Locale } from '../contract/identity.ts'
import { Alert } from './layout.tsx'
import { FRAME_WORDS } from './words/frame.ts'

type InputProps = JSX.IntrinsicElements['input']

interface FieldProps extends InputProps {
  /** Unique on the page; the name is what follows the last dash, and what a fault's pointer ends with. */
  readonly id: string
  readonly label: string
  readonly hint?: string
}

const nameOf = (id: string) => id.split('-').at(-1) ?? id

/** One labelled input with room for a hint and for what is wrong with it. */
export const Field: FC<FieldProps> = ({ id, label, hint, ...input }) => (
  <Labelled id={id} label={label} hint={hint}>
    <input id={id} name={nameOf(id)} aria-describedby={describedBy(id, hint)} {...input} />
  </Labelled>
)

interface AreaProps {
  readonly id: string
  readonly label: string
  readonly hint?: string
  readonly rows: number
  readonly required?: boolean
  readonly maxlength?: number
  readonly placeholder?: string
}

/** A labelled text area for machine text: keys and commands. */
export const Area: FC<AreaProps> = ({ id, label, hint, ...area }) => (
  <Labelled id={id} label={label} hint={hint}>
    <textarea
      class="mono"
      id={id}
      name={nameOf(id)}
      aria-describedby={describedBy(id, hint)}
      spellcheck={false}
      autocomplete="off"
      autocapitalize="off"
      {...area}
    />
  </Labelled>
)

interface ChoiceProps {
  readonly id: string
  readonly label: string
  readonly options: readonly (readonly [value: string, label: string])[]
}

/** A labelled choice of one among a few. */
export const Choice: FC<ChoiceProps> = ({ id, label, options }) => (
  <Labelled id={id} label={label}>
    <select id={id} name={nameOf(id)} aria-describedby={describedBy(id)}>
      {options.map(([value, text]) => (
        <option value={value}>{text}</option>
      ))}
    </select>
  </Labelled>
)

const describedBy = (id: string, hint?: string) => (hint ? `${id}-hint ${id}-fault` : `${id}-fault`)

const Labelled: FC<{ readonly id: string; readonly label: string; readonly hint?: string | undefined; readonly children: Child }> = (
  props,
) => (
  <div class="field">
    <label for={props.id}>{props.label}</label>
    {props.children}
    {props.hint && (
      <p class="hint" id={`${props.id}-hint`}>
        {props.hint}
      </p>
    )}
    <p class="fault" id={`${props.id}-fault`} hidden />
  </div>
)

interface FormProps {
  readonly id: string
  readonly class?: string
  readonly label?: string
  readonly hidden?: boolean
  readonly children: Child
}

/** A form that stays locked until its island is there: nothing typed can be sent by the browser alone. */
export const Form: FC<FormProps> = ({ id, class: className, label, hidden, children }) => (
  <form id={id} method="post" class={className} aria-label={label} hidden={hidden} novalidate>
    <Alert id={`${id}-alert`} />
    <fieldset disabled>{children}</fieldset>
  </form>
)

interface DialogProps {
  readonly id: string
  readonly title: string
  readonly lang?: Locale | undefined
  readonly children: Child
}

/** A modal dialog; the browser keeps the focus inside and closes it on Escape. */
export const Dialog: FC<DialogProps> = ({ id, title, lang = 'en', children }) => (
  <dialog id={id} aria-labelledby={`${id}-title`}>
    <header>
      <h2 id={`${id}-title`}>{title}</h2>
      <button type="button" class="quiet icon" data-close aria-label={FRAME_WORDS[lang].close}>
        ×
      </button>
    </header>
    {children}
  </dialog>
)
