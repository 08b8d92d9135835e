import { IndexeddbPersistence } from 'y-indexeddb'
import * as Y from 'yjs'
import type { Client, JoinOptions, Room } from '../client/client.ts'
import { isProblem, Problem } from '../contract/problem.ts'

/** A room whose document is also kept in this browser. */
export interface OfflineRoom extends Room {
  /** Leaves, and deletes what this browser keeps of the document. */
  readonly forget: () => Promise<void>
}

/**
 * Joins a room and keeps its document in IndexedDB: it is there before the network is, and what is written without one is merged
 * when it comes back, also after a reload. Kept apart by user, and deleted when the room says that the user has no seat any more.
 *
 * @throws Problem `unauthenticated` when nobody is signed in; DOMException where the browser keeps nothing; TypeError as `rooms.join`
 */
export async function joinOffline(client: Client, roomId: string, options: JoinOptions = {}): Promise<OfflineRoom> {
  const session = await client.session()
  if (!session) throw new Problem('unauthenticated')
  const doc = options.doc ?? new Y.Doc()
  const kept = new IndexeddbPersistence(`parvis/${session.userId}/${roomId}`, doc)
  // Rejects where the browser keeps nothing; what waits for it to be loaded would wait for ever.
  await kept._db
  await kept.whenSynced
  const room = await client.rooms.join(roomId, { ...options, doc })
  let forgotten: Promise<void> | undefined
  const forget = () => {
    forgotten ??= kept.clearData()
    room.close()
    return forgotten
  }
  // Only what has ended the room; its status says so before the problem is told.
  room.on('problem', (problem) => room.status === 'closed' && isSeatGone(problem) && void forget())
  room.on('status', (status) => status === 'closed' && void (forgotten ?? kept.destroy()))
  // Its getters stay what they are.
  return Object.defineProperties({} as OfflineRoom, {
    ...Object.getOwnPropertyDescriptors(room),
    forget: { value: forget, enumerable: true },
  })
}

const isSeatGone = (problem: Error): boolean => isProblem(problem) && (problem.slug === 'not-found' || problem.slug === 'gone')
