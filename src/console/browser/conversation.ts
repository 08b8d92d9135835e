import type { MessagesState, Room } from '../../client/client.ts'
import { bindButton } from './button.ts'
import { bindComposer } from './composer.ts'
import { byId, show } from './dom.ts'
import { createRows } from './message-rows.ts'
import { followNames, type People } from './people.ts'
import { listed, roomSaid } from './room-words.ts'

/** This near to its end, the list stays there. */
const NEAR_PX = 80

const list = () => byId('messages-view')
const isAtEnd = (): boolean => list().scrollHeight - list().scrollTop - list().clientHeight < NEAR_PX
const toEnd = (): void => void list().scrollTo({ top: list().scrollHeight })
/** On a narrow screen the conversation may be behind the text. */
const isSeen = (): boolean => document.visibilityState === 'visible' && list().offsetParent !== null

/** Shows what is said in a room and lets one say something. */
export function openConversation(room: Room): void {
  const maySpeak = () => room.role !== 'viewer' && room.status !== 'closed'
  const people: People = followNames(room, () => draw(room.messages.state))
  const composer = bindComposer(room, () => people)
  const drawRows = createRows({ room, people, maySpeak, ...composer })
  let seen = 0

  function draw(state: MessagesState): void {
    const wasAtEnd = isAtEnd()
    drawRows(state)
    show(byId('messages-older'), state.hasOlder)
    show(byId('messages-empty'), state.isCaughtUp && state.items.length + state.pending.length === 0)
    byId('messages-read').textContent = readersOf(room, people, state)
    byId('messages-typing').textContent = typistsOf(people, state)
    if (wasAtEnd) toEnd()
    note(state)
  }

  /** What is on the screen is read. */
  function note({ items }: MessagesState): void {
    const last = items.at(-1)?.seq ?? 0
    if (isSeen() && isAtEnd()) {
      seen = Math.max(seen, last)
      room.messages.markRead(last)
    }
    const news = items.filter(({ seq, userId, isDeleted }) => seq > seen && userId !== room.userId && !isDeleted).length
    for (const id of ['to-newest', 'tab-news']) show(byId(id), news > 0)
    byId('tab-news').textContent = String(news)
  }

  function showSeat(): void {
    show(byId('composer'), maySpeak())
    show(byId('composer-none'), !maySpeak() && room.status !== 'closed')
    draw(room.messages.state)
  }

  room.on('messages', draw)
  room.on('role', showSeat)
  room.on('status', showSeat)
  list().onscroll = () => note(room.messages.state)
  document.addEventListener('visibilitychange', () => note(room.messages.state))
  byId('to-newest').onclick = toEnd
  bindTabs(() => {
    toEnd()
    note(room.messages.state)
  })
  bindButton(byId('messages-older', HTMLButtonElement), byId('page-alert'), async () => {
    const view = list()
    const fromEnd = view.scrollHeight - view.scrollTop
    await room.messages.loadOlder()
    // What was on the screen stays there.
    view.scrollTop = view.scrollHeight - fromEnd
  })
  showSeat()
}

/** On a narrow screen, either the text or the conversation is there. */
function bindTabs(shown: () => void): void {
  const tabs = { text: byId('tab-text'), talk: byId('tab-talk') }
  for (const [view, tab] of Object.entries(tabs)) {
    tab.onclick = () => {
      byId('room-views').dataset['view'] = view
      for (const other of Object.values(tabs)) other.setAttribute('aria-pressed', String(other === tab))
      if (view === 'talk') shown()
    }
  }
}

/** Who has read all that one has said. */
function readersOf({ userId }: Room, people: People, { items, reads }: MessagesState): string {
  const last = items.at(-1)
  if (!last || last.userId !== userId || last.isDeleted) return ''
  const readers = Object.entries(reads).filter(([id, seq]) => id !== userId && seq >= last.seq)
  return readers.length === 0 ? '' : `${roomSaid().readBy} ${listed(readers.map(([id]) => people.nameOf(id)))}`
}

function typistsOf(people: People, { typists }: MessagesState): string {
  if (typists.length === 0) return ''
  return `${listed(typists.map(people.nameOf))} ${typists.length === 1 ? roomSaid().writes : roomSaid().write}`
}
