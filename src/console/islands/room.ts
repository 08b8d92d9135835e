import type { Room } from '../../client/client.ts'
import type { Me } from '../../contract/identity.ts'
import { isProblem } from '../../contract/problem.ts'
import { RoomId, type RoomRole } from '../../contract/rooms.ts'
import { client, openAccount } from '../browser/account.ts'
import { openConversation } from '../browser/conversation.ts'
import { byId, show } from '../browser/dom.ts'
import { bindRename, ownName } from '../browser/own-name.ts'
import { colorOf } from '../browser/people.ts'
import { followCaret, showPresence } from '../browser/presence.ts'
import { roomSaid } from '../browser/room-words.ts'
import { bindText } from '../browser/text-binding.ts'
import { tellLost, tellTrouble } from '../browser/trouble.ts'

/** Name of the shared text in a room's document. */
const TEXT = 'text'

function tellStatus(state: Room['status'], text: string): void {
  const status = byId('room-status')
  status.dataset['state'] = text === roomSaid().status.open || state === 'waiting' ? 'connecting' : state
  status.textContent = text
}

function showRole(role: RoomRole): void {
  byId('room-role').textContent = roomSaid().roles[role]
  show(byId('room-role'), true)
}

/** Tells where own changes are: on their way, stored, or kept here. */
function followSaving(room: Room): void {
  const place = byId('room-saved')
  const tell = () => {
    const { saved, saving, unsaved } = roomSaid()
    place.textContent = room.hasUnsaved ? (room.status === 'open' ? saving : unsaved) : saved
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
    const isReader = isProblem(error) && error.slug === 'forbidden'
    if (isReader) showRole('viewer')
    if (room.status === 'closed' || isReader) area.readOnly = true
    tellTrouble(byId('page-alert'), error)
  })
}

function showYourself(room: Room, me: Me): void {
  const color = colorOf(me.id)
  const tell = (name: string) => {
    room.awareness.setLocalStateField('user', { name, color })
    room.presence.show({ name })
  }
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
  tellStatus(room.status, roomSaid().status[room.status])
  room.on('status', (status) => tellStatus(status, roomSaid().status[status]))
  room.on('synced', () => tellStatus('open', roomSaid().live))
  followProblems(room, area)
  openConversation(room)
  showPresence(room.awareness, text)
  await room.whenSynced()
  showYourself(room, me)
  bindText(text, area)
  followCaret(room.awareness, text, area)
  const canWrite = role === 'owner' || role === 'editor'
  if (canWrite) followSaving(room)
  area.readOnly = !canWrite
  area.placeholder = canWrite ? roomSaid().invitation : roomSaid().empty
  if (canWrite) area.focus()
}

start().catch(tellLost)
