import type { Me, UserId } from '../../contract/identity.ts'
import { type Room, RoomRole } from '../../contract/rooms.ts'
import { client } from './account.ts'
import { filled, show, showMoment } from './dom.ts'
import { bindForm } from './form.ts'
import { bindList, placesOf } from './list.ts'
import { openMembers } from './members-dialog.ts'

const ROLES = RoomRole.options.toReversed()

function openSeats({ id: roomId, name, role }: Room, me: Me, changed: () => void): void {
  openMembers({
    title: `Seats in ${name}`,
    ownId: me.id,
    canManage: role === 'owner',
    act: 'Add',
    roles: ROLES,
    list: (query) => client.listRoomMembers({ params: { roomId }, query }),
    put: (userId, chosen) => client.putRoomMember({ params: { roomId, userId: userId as UserId }, body: { role: RoomRole.parse(chosen) } }),
    remove: async (userId) => {
      await client.removeRoomMember({ params: { roomId, userId: userId as UserId } })
      changed()
    },
  })
}

/** The user's rooms: open, share, create. */
export function startRooms(me: Me): void {
  function row(room: Room): HTMLElement {
    const piece = filled('room-row', { name: room.name, role: room.role })
    piece.slot<HTMLAnchorElement>('name').href = `/app/rooms/${room.id}`
    showMoment(piece.slot('created'), room.createdAt)
    const share = piece.slot('share')
    share.textContent = room.role === 'owner' ? 'Share' : 'Seats'
    share.setAttribute('aria-label', `${share.textContent}: ${room.name}`)
    share.onclick = () => openSeats(room, me, () => void reload())
    return piece.root
  }

  const reload = bindList(placesOf('rooms'), { load: (query) => client.listRooms({ query }), row })
  const form = bindForm('create-room', async ({ name = '' }) => {
    await client.createRoom({ body: { name } })
    form.reset()
    await reload()
  })
  void reload()
  show(form, true)
}
