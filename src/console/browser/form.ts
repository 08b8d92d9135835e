import { type Fault, isProblem } from '../../contract/problem.ts'
import { byId, show } from './dom.ts'
import { calm, tellTrouble } from './trouble.ts'
import { detailSaid, said } from './words.ts'

type Input = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement

/** What a form holds, by name; empty fields and hidden ones are absent. */
export type Entries = Readonly<Record<string, string>>

const inputsOf = (form: HTMLFormElement): Input[] =>
  [...form.elements].filter((e): e is Input => 'validationMessage' in e && 'name' in e && Boolean(e.name))

const isAsked = (input: Input) => input.closest('[hidden]') === null

function mark(input: Input, message: string): void {
  const fault = byId(`${input.id}-fault`)
  fault.textContent = message
  show(fault, message !== '')
  if (message) input.setAttribute('aria-invalid', 'true')
  else input.removeAttribute('aria-invalid')
}

/** What is wrong with an input, in the language of the page and not of the browser. */
function wrongWith({ validity }: Input): string {
  const words = said()
  if (validity.valid) return ''
  if (validity.valueMissing) return words.missing
  if (validity.tooShort) return words.short
  if (validity.tooLong) return words.long
  return validity.typeMismatch ? words.noAddress : words.misshapen
}

/** Marks the inputs that the browser finds wrong; answers whether there is none. */
function isComplete(inputs: readonly Input[]): boolean {
  for (const input of inputs) mark(input, wrongWith(input))
  const wrong = inputs.find((input) => !input.validity.valid)
  wrong?.focus()
  return !wrong
}

/** Puts the server's faults beside the inputs they point to; answers those that point nowhere. */
function markFaults(inputs: readonly Input[], faults: readonly Fault[]): readonly Fault[] {
  const found = faults.map((fault) => ({ fault, input: inputs.find(({ name }) => fault.pointer.endsWith(`/${name}`)) }))
  for (const { fault, input } of found) if (input) mark(input, detailSaid(fault.detail))
  found.find(({ input }) => input)?.input?.focus()
  return found.filter(({ input }) => !input).map(({ fault }) => fault)
}

function tell(form: HTMLFormElement, error: unknown): void {
  const alert = byId(`${form.id}-alert`)
  const faults = isProblem(error) ? (error.extras.errors ?? []) : []
  if (faults.length > 0 && markFaults(inputsOf(form), faults).length === 0) return
  tellTrouble(alert, error)
  alert.focus()
}

/** Unlocks a form and hands what it holds to `send`; while that runs the form is locked, and what fails is told in place. */
export function bindForm(id: string, send: (entries: Entries) => Promise<void>): HTMLFormElement {
  const form = byId(id, HTMLFormElement)
  const [fields] = form.getElementsByTagName('fieldset')
  if (!fields) throw new Error(`#${id} has no fields`)
  fields.disabled = false
  form.onsubmit = async (event) => {
    event.preventDefault()
    const inputs = inputsOf(form).filter(isAsked)
    calm(byId(`${id}-alert`))
    if (!isComplete(inputs)) return
    const entries = Object.fromEntries(inputs.filter(({ value }) => value !== '').map(({ name, value }) => [name, value]))
    const focused = document.activeElement
    fields.disabled = true
    form.setAttribute('aria-busy', 'true')
    let failure: { readonly error: unknown } | undefined
    try {
      await send(entries)
    } catch (error) {
      failure = { error }
    }
    fields.disabled = false
    form.removeAttribute('aria-busy')
    // A disabled field loses the focus, and with it the place of a keyboard user.
    if (failure) tell(form, failure.error)
    else if (focused instanceof HTMLElement && document.activeElement === document.body) focused.focus()
  }
  return form
}
