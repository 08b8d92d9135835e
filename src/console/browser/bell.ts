import type { Client } from '../../client/client.ts'
import type { Notification } from '../../contract/inbox.ts'
import { addressOf, noticeSaid } from './bell-words.ts'
import { bindButton } from './button.ts'
import { byId, filled, show, showMoment } from './dom.ts'
import { tellTrouble } from './trouble.ts'

/** Notifications that the list begins with; the rest is one click away from being old. */
const LIST_ITEMS = 30

/** Keeps the bell of the header: how many notifications are unread, live, and what they say once it is opened. */
export function startBell(client: Client): void {
  const bell = byId('bell', HTMLButtonElement)
  const list = byId('notices')
  const inbox = client.inbox.connect()
  let items: readonly Notification[] = []

  function draw(): void {
    byId('notices-list').replaceChildren(...items.map(row))
    show(byId('notices-empty'), items.length === 0)
    show(
      byId('notices-read'),
      items.some(({ isRead }) => !isRead),
    )
  }

  function row(notification: Notification): HTMLElement {
    const piece = filled('notice-row', { text: noticeSaid(notification.content) })
    const link = piece.slot<HTMLAnchorElement>('text')
    link.href = addressOf(notification.content)
    link.onclick = () => void client.readNotification({ params: { notificationId: notification.id } }).catch(() => undefined)
    piece.root.classList.toggle('unread', !notification.isRead)
    showMoment(piece.slot('at'), notification.createdAt)
    return piece.root
  }

  function showCount(unread: number): void {
    show(byId('bell-count'), unread > 0)
    byId('bell-count').textContent = unread > 99 ? '99+' : String(unread)
  }

  async function load(): Promise<void> {
    try {
      const page = await client.listNotifications({ query: { limit: LIST_ITEMS } })
      items = page.items
      showCount(page.unread)
      draw()
    } catch (error) {
      tellTrouble(byId('notices-alert'), error)
    }
  }

  function change(by: (notification: Notification) => readonly Notification[]): void {
    items = items.flatMap(by)
    draw()
  }

  bell.disabled = false
  inbox.on('unread', showCount)
  inbox.on('added', (notification) => {
    items = [notification, ...items]
    draw()
  })
  inbox.on('read', (ids) => change((one) => [ids.includes(one.id) ? { ...one, isRead: true } : one]))
  inbox.on('deleted', (ids) => change((one) => (ids.includes(one.id) ? [] : [one])))
  inbox.on('missed', () => void load())
  list.addEventListener('beforetoggle', (event) => (event as ToggleEvent).newState === 'open' && void load())
  bindButton(byId('notices-read', HTMLButtonElement), byId('notices-alert'), async () => {
    const [newest] = items
    if (newest) await inbox.markRead(newest.id)
  })
}
