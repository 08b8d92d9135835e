import type { Awareness } from 'y-protocols/awareness'
import {
  type AbsolutePosition,
  createAbsolutePositionFromRelativePosition,
  createRelativePositionFromTypeIndex,
  type Text as YText,
} from 'yjs'
import * as z from 'zod'
import { byId, filled } from './dom.ts'
import { drawFace, SaidName } from './people.ts'
import { roomSaid } from './room-words.ts'
import { documentOffset } from './text-change.ts'

/** What a peer says of itself. */
const PeerUser = z.object({
  name: SaidName.catch(() => roomSaid().somebody),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/i)
    .catch('#8d8b84'),
})
const PeerCursor = z.object({ head: z.looseObject({}) })

interface Peer {
  readonly clientId: number
  readonly name: string
  readonly color: string
  readonly place: string
}

function lineAt(text: YText, { index, type }: AbsolutePosition): string {
  if (type !== text) return ''
  return `${roomSaid().line} ${text.toString().slice(0, index).split('\n').length}`
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
    const { name, color } = PeerUser.parse(state['user'] ?? {})
    return { clientId, name, color, place: placeOf(text, state['cursor']) }
  })
  const isOther = ({ clientId }: Peer) => Number(clientId !== awareness.clientID)
  return peers.toSorted((a, b) => isOther(a) - isOther(b) || a.name.localeCompare(b.name) || a.clientId - b.clientId)
}

function row({ clientId, name, color, place }: Peer, ownId: number): HTMLElement {
  const piece = filled('present-row', { name: clientId === ownId ? `${name} (${roomSaid().you})` : name, place })
  drawFace(piece.slot('face'), { name, color })
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
