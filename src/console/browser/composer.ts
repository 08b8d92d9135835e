import type { Message, Room } from '../../client/client.ts'
import { byId, show } from './dom.ts'
import type { People } from './people.ts'
import { roomSaid } from './room-words.ts'
import { calm, tellTrouble } from './trouble.ts'

/** Where one writes messages. */
export interface Composer {
  readonly answer: (message: Message) => void
  readonly change: (message: Message) => void
}

type Purpose = { readonly kind: 'post' } | { readonly kind: 'reply' | 'edit'; readonly message: Message }

/** Binds the field below the conversation: Enter sends, Shift+Enter begins a line, Escape gives up a reply or an edit. */
export function bindComposer(room: Room, people: () => People): Composer {
  const form = byId('composer', HTMLFormElement)
  const field = byId('message', HTMLTextAreaElement)
  let purpose: Purpose = { kind: 'post' }

  function turn(next: Purpose): void {
    purpose = next
    show(byId('purpose'), next.kind !== 'post')
    if (next.kind === 'reply') byId('purpose-text').textContent = `${roomSaid().answers} ${people().nameOf(next.message.userId)}`
    if (next.kind === 'edit') byId('purpose-text').textContent = roomSaid().edits
    grow()
  }

  function grow(): void {
    field.style.height = 'auto'
    field.style.height = `${field.scrollHeight + 2}px`
  }

  function giveUp(): void {
    if (purpose.kind === 'edit') field.value = ''
    turn({ kind: 'post' })
  }

  function send(): void {
    const text = field.value.trim()
    if (text === '') return
    const sent = publish(room, purpose, text)
    field.value = ''
    turn({ kind: 'post' })
    calm(byId('page-alert'))
    sent.catch((error: unknown) => {
      // What was refused is worth another look, unless something else is being written.
      if (field.value === '') field.value = text
      grow()
      if (room.status !== 'closed') tellTrouble(byId('page-alert'), error)
    })
  }

  form.onsubmit = (event) => {
    event.preventDefault()
    send()
  }
  field.oninput = () => {
    grow()
    if (field.value !== '') room.messages.typing()
  }
  field.onkeydown = (event) => {
    if (event.key === 'Escape' && purpose.kind !== 'post') giveUp()
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send()
  }
  byId('purpose-cancel').onclick = giveUp
  return {
    answer(message) {
      turn({ kind: 'reply', message })
      field.focus()
    },
    change(message) {
      field.value = message.text
      turn({ kind: 'edit', message })
      field.focus()
    },
  }
}

function publish(room: Room, purpose: Purpose, text: string): Promise<unknown> {
  if (purpose.kind === 'edit') return room.messages.edit(purpose.message.seq, text)
  return room.messages.post(text, { replyTo: purpose.kind === 'reply' ? purpose.message.seq : undefined })
}
