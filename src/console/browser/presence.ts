import type { Awareness } from 'y-protocols/awareness'
import {
  type AbsolutePosition,
  createAbsolutePositionFromRelativePosition,
  createRelativePositionFromTypeIndex,
  type Text as YText,
} from 'yjs'
import * as z from 'zod'
import { byId, filled } from './dom.ts'
import { documentOffset } from './text-change.ts'

/** Longest name shown, in UTF-16 units. */
const NAME_CHARS_MAX = 40

/** What a peer says of itself. Peers are other people's programs: what does not fit is replaced, never trusted. */
const PeerUser = z.object({
  name: z
    .string()
    .trim()
    .min(1)
    .transform((name) => name.slice(0, NAME_CHARS_MAX))
    .catch('Somebody'),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/i)
    .catch('#8d8b84'),
})
const PeerCursor = z.object({ head: z.looseObject({}) })

/** Colours that hold on light and on dark paper. */
const COLORS = ['#c2553d', '#b07d1e', '#5f8a2f', '#2a8f6d', '#2b86b0', '#5a6fd0', '#9257c2', '#c2497f'] as const

/** A colour that nobody else in the room has, as long as there are enough; the same for the same user where it is free. */
export function freeColor(awareness: Awareness, userId: string): string {
  const taken = new Set([...awareness.getStates().values()].map((state) => PeerUser.safeParse(state['user']).data?.color))
  const preferred = [...userId].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 997, 0) % COLORS.length
  const inOrder = [...COLORS.slice(preferred), ...COLORS.slice(0, preferred)]
  return inOrder.find((color) => !taken.has(color)) ?? COLORS[0]
}

interface Peer {
  readonly clientId: number
  readonly name: string
  readonly color: string
  readonly place: string
}

function lineAt(text: YText, { index, type }: AbsolutePosition): string {
  if (type !== text) return ''
  return `line ${text.toString().slice(0, index).split('\n').length}`
}

function placeOf(text: YText, cursor: unknown): string {
  const parsed = PeerCursor.safeParse(cursor)
  if (!parsed.success || !text.doc) return ''
  try {
    const position = createAbsolutePositionFromRelativePosition(parsed.data.head as never, text.doc)
    return position ? lineAt(text, position) : ''
  } catch {
    // Whatever a peer calls a position, it must not break the list of who is here.
    return ''
  }
}

function peersOf(awareness: Awareness, text: YText): Peer[] {
  const peers = [...awareness.getStates()].map(([clientId, state]) => {
    const { name, color } = PeerUser.catch({ name: 'Somebody', color: '#8d8b84' }).parse(state['user'])
    return { clientId, name, color, place: placeOf(text, state['cursor']) }
  })
  const isOther = ({ clientId }: Peer) => Number(clientId !== awareness.clientID)
  return peers.toSorted((a, b) => isOther(a) - isOther(b) || a.name.localeCompare(b.name) || a.clientId - b.clientId)
}

function row({ clientId, name, color, place }: Peer, ownId: number): HTMLElement {
  const piece = filled('present-row', { name: clientId === ownId ? `${name} (you)` : name, place })
  piece.slot('dot').style.backgroundColor = color
  return piece.root
}

/** Keeps the list of who is in the room. */
export function showPresence(awareness: Awareness, text: YText): void {
  const draw = () => byId('present').replaceChildren(...peersOf(awareness, text).map((peer) => row(peer, awareness.clientID)))
  awareness.on('change', draw)
  draw()
}

/** Carets move with every key; others need not see each step. */
const CARET_MS = 150

/** Tells the others where the caret is, as a position that moves with the text. */
export function followCaret(awareness: Awareness, text: YText, area: HTMLTextAreaElement): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const tell = () => {
    timer = undefined
    const whole = text.toString()
    const at = (shown: number) => createRelativePositionFromTypeIndex(text, Math.min(documentOffset(whole, shown), text.length))
    const ends = { anchor: at(area.selectionStart), head: at(area.selectionEnd) }
    awareness.setLocalStateField('cursor', document.activeElement === area ? ends : null)
  }
  const note = () => {
    if (timer === undefined) timer = setTimeout(tell, CARET_MS)
  }
  for (const type of ['selectionchange', 'input', 'focus', 'blur']) area.addEventListener(type, note)
}
