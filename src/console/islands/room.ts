import type { Room } from '../../client/client.ts'
import type { Me } from '../../contract/identity.ts'
import { isProblem } from '../../contract/problem.ts'
import { RoomId } from '../../contract/rooms.ts'
import { client, openAccount } from '../browser/account.ts'
import { byId, show } from '../browser/dom.ts'
import { bindRename, ownName } from '../browser/own-name.ts'
import { followCaret, freeColor, showPresence } from '../browser/presence.ts'
import { bindText } from '../browser/text-binding.ts'
import { tellLost, tellTrouble } from '../browser/trouble.ts'

/** Name of the shared text in a room's document. */
const TEXT = 'text'

const STATUS = {
  connecting: 'Connecting…',
  open: 'Catching up…',
  waiting: 'Offline. What you write is kept here and sent when the connection is back.',
  closed: 'Disconnected',
} as const

function tellStatus(state: Room['status'], text: string): void {
  const status = byId('room-status')
  status.dataset['state'] = text === STATUS.open || state === 'waiting' ? 'connecting' : state
  status.textContent = text
}

function showRole(role: string): void {
  byId('room-role').textContent = role === 'viewer' ? 'viewer: read-only' : role
  show(byId('room-role'), true)
}

/** Tells where own changes are: on their way, stored, or kept here. */
function followSaving(room: Room): void {
  const place = byId('room-saved')
  const tell = () => {
    place.textContent = room.hasUnsaved ? (room.status === 'open' ? 'Saving…' : 'Not saved yet') : 'All changes saved'
  }
  room.doc.on('update', tell)
  room.on('saved', tell)
  room.on('status', tell)
  tell()
  addEventListener('beforeunload', (event) => room.hasUnsaved && event.preventDefault())
}

/** What ends the room or makes it read-only. */
function followProblems(room: Room, area: HTMLTextAreaElement): void {
  room.on('problem', (error) => {
    if (isProblem(error) && error.slug === 'forbidden') showRole('viewer')
    if (room.status === 'closed' || isProblem(error)) area.readOnly = true
    tellTrouble(byId('page-alert'), error)
  })
}

function showYourself(room: Room, me: Me): void {
  const color = freeColor(room.awareness, me.id)
  const tell = (name: string) => room.awareness.setLocalStateField('user', { name, color })
  tell(ownName(me))
  bindRename(me, tell)
}

async function start(): Promise<void> {
  const me = await openAccount()
  const roomId = RoomId.parse(byId('room').dataset['roomId'])
  const { name, role } = await client.getRoom({ params: { roomId } })
  byId('room-name').textContent = name
  document.title = `${name} · Parvis`
  showRole(role)

  const area = byId('text', HTMLTextAreaElement)
  const room = await client.rooms.join(roomId)
  const text = room.doc.getText(TEXT)
  tellStatus(room.status, STATUS[room.status])
  room.on('status', (status) => tellStatus(status, STATUS[status]))
  room.on('synced', () => tellStatus('open', 'Live'))
  followProblems(room, area)
  showPresence(room.awareness, text)
  await room.whenSynced()
  showYourself(room, me)
  bindText(text, area)
  followCaret(room.awareness, text, area)
  const canWrite = role !== 'viewer'
  if (canWrite) followSaving(room)
  area.readOnly = !canWrite
  area.placeholder = canWrite ? 'Write here. Everybody in the room sees it at once.' : 'Nothing is written yet.'
  if (canWrite) area.focus()
}

start().catch(tellLost)
