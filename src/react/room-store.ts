import type { Client, JoinOptions, Room, SocketStatus } from '../client/client.ts'
import type { RoomRole } from '../contract/rooms.ts'

/** A room as a component sees it. */
export interface RoomView {
  /** The room; nothing before it is joined. */
  readonly room: Room | undefined
  readonly status: SocketStatus
  /** What one may do there; nothing before the room has said so. */
  readonly role: RoomRole | undefined
  /** Whether the document holds all that the room's does. */
  readonly isSynced: boolean
  /** The last problem: with the status `closed`, why the room is over. */
  readonly problem: Error | undefined
}

/** A room that is joined while somebody looks. */
export interface RoomStore {
  readonly subscribe: (changed: () => void) => () => void
  readonly view: () => RoomView
}

/** What is seen before a room is joined, and where pages are rendered on a server. */
export const NO_ROOM: RoomView = { room: undefined, status: 'connecting', role: undefined, isSynced: false, problem: undefined }

/** Makes the store of one room. */
export function createRoomStore(client: Client, roomId: string, options: JoinOptions | undefined): RoomStore {
  const listeners = new Set<() => void>()
  let view = NO_ROOM
  let leave: (() => void) | undefined
  let leaving: ReturnType<typeof setTimeout> | undefined

  function change(news: Partial<RoomView>): void {
    view = { ...view, ...news }
    for (const changed of [...listeners]) changed()
  }

  function join(): () => void {
    let isLeft = false
    let room: Room | undefined
    let unfollow: (() => void) | undefined
    const take = (joined: Room) => {
      room = joined
      if (isLeft) return joined.close()
      unfollow = follow(joined, change)
    }
    client.rooms.join(roomId, options).then(take, (problem: Error) => isLeft || change({ status: 'closed', problem }))
    return () => {
      isLeft = true
      unfollow?.()
      room?.close()
      view = NO_ROOM
    }
  }

  return {
    view: () => view,
    subscribe(changed) {
      listeners.add(changed)
      clearTimeout(leaving)
      leave ??= join()
      return () => {
        listeners.delete(changed)
        if (listeners.size > 0) return
        // Strict mode takes a component away and brings it back at once; that is no reason to leave.
        leaving = setTimeout(() => {
          leave?.()
          leave = undefined
        })
      }
    },
  }
}

/** Tells what changes of a room, until the returned function is called. */
function follow(room: Room, change: (news: Partial<RoomView>) => void): () => void {
  const ends = [
    room.on('status', (status) => change({ status, isSynced: room.isSynced })),
    room.on('role', (role) => change({ role })),
    room.on('synced', () => change({ isSynced: true })),
    room.on('problem', (problem) => change({ problem })),
  ]
  change({ room, status: room.status, role: room.role, isSynced: room.isSynced })
  return () => {
    for (const end of ends) end()
  }
}
