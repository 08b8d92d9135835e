import type { Message, MessagesState, Pending, Room } from '../../client/client.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { byId, filled, type Piece, show, showMoment } from './dom.ts'
import { colorOf, drawFace, type People } from './people.ts'
import { listed, roomSaid } from './room-words.ts'

/** What people react with at one press. */
const EMOJI = ['👍', '❤️', '😄', '🎉', '👀'] as const
/** Messages of one person that follow each other this closely need no second name. */
const CLOSE_MS = 300_000
const QUOTE_CHARS = 90

/** What a row of the conversation needs. */
export interface Rows {
  readonly room: Room
  readonly people: People
  /** Whether this seat may say anything. */
  readonly maySpeak: () => boolean
  readonly answer: (message: Message) => void
  readonly change: (message: Message) => void
}

const alert = () => byId('page-alert')

/** Where a message stands. */
interface Among {
  readonly items: readonly Message[]
  readonly before: Message | undefined
}

function quote(rows: Rows, items: readonly Message[], seq: number): string {
  const found = items.find((message) => message.seq === seq)
  if (!found) return `${roomSaid().answers} ${roomSaid().gone}`
  const text = found.isDeleted ? roomSaid().deleted : found.text
  return `${rows.people.nameOf(found.userId)}: ${text.slice(0, QUOTE_CHARS)}${text.length > QUOTE_CHARS ? '…' : ''}`
}

function reactionButton(rows: Rows, message: Message, emoji: string): HTMLButtonElement {
  const { room, people } = rows
  const userIds = message.reactions.find((reaction) => reaction.emoji === emoji)?.userIds ?? []
  const isMine = room.userId !== undefined && userIds.includes(room.userId)
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'reaction'
  button.textContent = userIds.length > 0 ? `${emoji} ${userIds.length}` : emoji
  button.title = userIds.length > 0 ? listed(userIds.map(people.nameOf)) : `${roomSaid().reactWith} ${emoji}`
  button.setAttribute('aria-label', userIds.length > 0 ? `${button.textContent}: ${button.title}` : button.title)
  button.setAttribute('aria-pressed', String(isMine))
  button.disabled = !rows.maySpeak()
  bindButton(button, alert(), async () => {
    await (isMine ? room.messages.unreact(message.seq, emoji) : room.messages.react(message.seq, emoji))
  })
  return button
}

function bindActions(rows: Rows, piece: Piece, message: Message): void {
  const isMine = message.userId === rows.room.userId
  const may = rows.maySpeak() && !message.isDeleted
  show(piece.slot('actions'), may)
  if (!may) return
  const used = message.reactions.map(({ emoji }) => emoji)
  const unused = EMOJI.filter((emoji) => !used.includes(emoji))
  piece.slot('palette').replaceChildren(...unused.map((emoji) => reactionButton(rows, message, emoji)))
  piece.slot<HTMLButtonElement>('reply').onclick = () => rows.answer(message)
  const edit = piece.slot<HTMLButtonElement>('edit')
  show(edit, isMine)
  edit.onclick = () => rows.change(message)
  const remove = piece.slot<HTMLButtonElement>('delete')
  show(remove, isMine || rows.room.role === 'owner')
  bindDangerButton(remove, alert(), async () => void (await rows.room.messages.delete(message.seq)))
}

function stored(rows: Rows, message: Message, { items, before }: Among) {
  const name = rows.people.nameOf(message.userId)
  const piece = filled('message-row', { name, text: message.isDeleted ? roomSaid().deleted : message.text })
  piece.root.dataset['seq'] = String(message.seq)
  piece.root.classList.toggle('own', message.userId === rows.room.userId)
  piece.root.classList.toggle('deleted', message.isDeleted)
  const follows = before?.userId === message.userId && message.at - before.at < CLOSE_MS && message.replyTo === undefined
  piece.root.classList.toggle('follows', follows)
  drawFace(piece.slot('face'), { name, color: colorOf(message.userId) })
  showMoment(piece.slot('at'), new Date(message.at).toISOString())
  show(piece.slot('edited'), message.isEdited && !message.isDeleted)
  show(piece.slot('quote'), message.replyTo !== undefined)
  if (message.replyTo !== undefined) piece.slot('quote').textContent = quote(rows, items, message.replyTo)
  piece.slot('reactions').replaceChildren(...message.reactions.map(({ emoji }) => reactionButton(rows, message, emoji)))
  bindActions(rows, piece, message)
  return piece.root
}

function waiting(rows: Rows, text: string): HTMLElement {
  const userId = rows.room.userId ?? ''
  const name = rows.people.nameOf(userId)
  const piece = filled('message-row', { name, text, at: roomSaid().sending })
  piece.root.classList.add('own', 'pending')
  drawFace(piece.slot('face'), { name, color: colorOf(userId) })
  for (const slot of ['edited', 'quote', 'actions']) show(piece.slot(slot), false)
  return piece.root
}

/** What is shown of one message; a row is drawn again only when this changes, so that nobody loses their place in it. */
const faceOf = (rows: Rows, message: Message, { items, before }: Among): string =>
  JSON.stringify([
    message,
    rows.room.userId,
    rows.room.role,
    before?.userId === message.userId,
    rows.people.nameOf(message.userId),
    message.replyTo === undefined ? '' : quote(rows, items, message.replyTo),
    message.reactions.map(({ userIds }) => userIds.map(rows.people.nameOf)),
  ])

/** Makes what draws the conversation. */
export function createRows(rows: Rows): (state: MessagesState) => void {
  const drawn = new Map<number, { readonly face: string; readonly root: HTMLElement }>()
  return ({ items, pending }) => {
    const roots = items.map((message, at) => {
      const among = { items, before: items[at - 1] }
      const face = faceOf(rows, message, among)
      const known = drawn.get(message.seq)
      const root = known?.face === face ? known.root : stored(rows, message, among)
      drawn.set(message.seq, { face, root })
      return root
    })
    const kept = new Set(items.map(({ seq }) => seq))
    for (const seq of drawn.keys()) if (!kept.has(seq)) drawn.delete(seq)
    const posts = pending.filter((one): one is Pending & { action: { kind: 'post' } } => one.action.kind === 'post')
    settle(byId('messages'), [...roots, ...posts.map(({ action }) => waiting(rows, action.text))])
  }
}

/** Brings a list to these rows and leaves those alone that are in place. */
function settle(list: HTMLElement, roots: readonly HTMLElement[]): void {
  for (const [at, root] of roots.entries()) {
    const there = list.children[at]
    if (there !== root) list.insertBefore(root, there ?? null)
  }
  while (list.children.length > roots.length) list.lastElementChild?.remove()
}
