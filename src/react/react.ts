import { useMemo, useSyncExternalStore } from 'react'
import type { Client, JoinOptions, MessagesState, PresenceState, Room } from '../client/client.ts'
import { createRoomStore, NO_ROOM, type RoomView } from './room-store.ts'

export type { RoomView }

const NO_MESSAGES: MessagesState = { items: [], pending: [], typists: [], reads: {}, isCaughtUp: false, hasOlder: false }
const NOBODY: PresenceState = { members: [], count: 0, isSample: false }

const never = () => () => undefined

/**
 * Joins a room while the component is mounted, and leaves it after; without an id it joins none. The options are read when it joins.
 * Call it once per room and hand `room` to those that need it.
 */
export function useRoom(client: Client, roomId: string | undefined, options?: JoinOptions): RoomView {
  const store = useMemo(() => (roomId === undefined ? undefined : createRoomStore(client, roomId, options)), [client, roomId])
  return useSyncExternalStore(store?.subscribe ?? never, store?.view ?? noRoom, noRoom)
}

const noRoom = () => NO_ROOM

/** A room's messages as they stand. */
export interface MessagesView extends MessagesState {
  /** Puts older messages before them, while {@link MessagesState.hasOlder} says that there are some. */
  readonly loadOlder: () => Promise<void>
}

/** A room's messages as they stand, and whatever changes them; post through `room.messages`. */
export function useMessages(room: Room | undefined): MessagesView {
  const subscribe = useMemo(() => (changed: () => void) => room?.on('messages', changed) ?? never(), [room])
  const state = useSyncExternalStore(
    subscribe,
    () => room?.messages.state ?? NO_MESSAGES,
    () => NO_MESSAGES,
  )
  return useMemo(() => ({ ...state, loadOlder: async () => room?.messages.loadOlder() }), [state, room])
}

/** What members of a room are called, here or not: nothing for who has no seat or has not said. */
export function useNames(room: Room | undefined): (userId: string) => string | undefined {
  const store = useMemo(() => {
    // A new function tells components that it answers something new.
    const ask = () => (userId: string) => room?.nameOf(userId)
    let nameOf = ask()
    const subscribe = (changed: () => void) =>
      room?.on('names', () => {
        nameOf = ask()
        changed()
      }) ?? never()
    return { subscribe, read: () => nameOf }
  }, [room])
  return useSyncExternalStore(store.subscribe, store.read, store.read)
}

/** Who is in a room; show something of oneself through `room.presence`. */
export function usePresence(room: Room | undefined): PresenceState {
  const subscribe = useMemo(() => (changed: () => void) => room?.on('presence', changed) ?? never(), [room])
  return useSyncExternalStore(
    subscribe,
    () => room?.presence.state ?? NOBODY,
    () => NOBODY,
  )
}
