import type { ProblemSlug } from '../../contract/problem.ts'
import { ROOM_FRAME_BYTES_MAX } from '../../contract/rooms.ts'
import { WAITING_BYTES_MAX } from './hocuspocus.ts'
import type { Place } from './place.ts'

/** What of one socket may wait for the room at once. */
const SOCKET_BYTES_MAX = 8_388_608

/** What a socket may send in one frame and have waiting; strangers hold as little on a leaf as in the room. */
export function limitsOf({ userId }: Partial<Pick<Place, 'userId'>>): { readonly frame: number; readonly waiting: number } {
  if (userId === undefined || userId === '') return { frame: WAITING_BYTES_MAX, waiting: WAITING_BYTES_MAX }
  return { frame: ROOM_FRAME_BYTES_MAX, waiting: SOCKET_BYTES_MAX }
}

/** Counts what of each socket waits for the room. */
export interface Queue {
  /** Counts a frame in, or says why it may not come in. */
  readonly refusal: (id: string, place: Partial<Place>, bytes: number) => ProblemSlug | undefined
  readonly release: (id: string, bytes: number) => void
}

/** Opens an empty queue. */
export function openQueue(): Queue {
  const waiting = new Map<string, number>()
  return {
    refusal(id, place, bytes) {
      const limits = limitsOf(place)
      if (bytes > limits.frame) return 'payload-too-large'
      const sum = (waiting.get(id) ?? 0) + bytes
      if (sum > limits.waiting) return 'rate-limited'
      waiting.set(id, sum)
      return undefined
    },
    release(id, bytes) {
      const rest = (waiting.get(id) ?? 0) - bytes
      if (rest > 0) waiting.set(id, rest)
      else waiting.delete(id)
    },
  }
}
