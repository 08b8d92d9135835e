import type { ShellView } from '../../client/client.ts'
import { bindButton } from './button.ts'
import { byId, filled, plain } from './dom.ts'

/** Asks the opener what a host asks before it lets them in, and says which host that is. Answered elsewhere, it is no question any more. */
export function answerPrompts(view: ShellView): void {
  const dialog = byId('prompt', HTMLDialogElement)
  const form = byId('prompt-form', HTMLFormElement)
  bindButton(byId('prompt-end', HTMLButtonElement), byId('prompt-alert'), view.end)
  // Escape would leave a question that nobody sees any more.
  dialog.oncancel = (event) => event.preventDefault()
  view.on('prompt', ({ host, name, instruction, prompts, answer }) => {
    byId('prompt-title').textContent = plain(host.isJump ? `${host.name}, on the way there, asks` : `${host.name} asks`)
    byId('prompt-words').textContent = plain([name, instruction].filter(Boolean).join(': '))
    const inputs = showFields(prompts)
    form.onsubmit = (event) => {
      event.preventDefault()
      const answers = inputs.map(({ value }) => value)
      close()
      answer(answers)
    }
    if (!dialog.open) dialog.showModal()
    inputs[0]?.focus()
  })
  const close = () => {
    dialog.close()
    byId('prompt-fields').replaceChildren()
  }
  view.on('state', ({ state }) => {
    if (state !== 'connecting') close()
  })
  view.finished().then(close, close)
}

function showFields(prompts: readonly { readonly text: string; readonly isEchoed: boolean }[]): HTMLInputElement[] {
  const fields = prompts.map(({ text, isEchoed }) => {
    const { root, slot } = filled('prompt-field', { text })
    const input = slot<HTMLInputElement>('answer')
    input.type = isEchoed ? 'text' : 'password'
    return { root, input }
  })
  byId('prompt-fields').replaceChildren(...fields.map(({ root }) => root))
  return fields.map(({ input }) => input)
}
