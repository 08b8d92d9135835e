import { PAGE_ITEMS_MAX } from '../contract/id.ts'
import { UserId } from '../contract/identity.ts'
import type { RoomMember } from '../contract/rooms.ts'

/** What members of a room are called, here or not. */
export interface Names {
  /** Nothing for who has no seat or has not said, and until the room has told; asking for somebody unknown has it told. */
  readonly nameOf: (userId: string) => string | undefined
  readonly stop: () => void
}

/** What learning names needs. */
export interface NamesParts {
  /** Reads the seats of these users, at most a page of them. */
  readonly membersAmong: (userIds: readonly string[]) => Promise<readonly Pick<RoomMember, 'userId' | 'displayName'>[]>
  readonly changed: () => void
}

/** Somebody unknown may be new; the room is asked no more often than this. */
const ASK_EVERY_MS = 30_000

/** Starts without a name. */
export function createNames({ membersAmong, changed }: NamesParts): Names {
  const names = new Map<string, string | null>()
  /** Who is to be asked for. */
  const wanted = new Set<string>()
  /** Who was asked for and had no seat then, and when that was, milliseconds of `Date.now`. */
  const strangers = new Map<string, number>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let isStopped = false

  async function ask(): Promise<void> {
    const meant = [...wanted].slice(0, PAGE_ITEMS_MAX)
    for (const { userId, displayName } of await membersAmong(meant)) names.set(userId, displayName)
    for (const userId of meant) {
      wanted.delete(userId)
      if (!names.has(userId)) strangers.set(userId, Date.now())
    }
    if (!isStopped) changed()
  }

  function plan(): void {
    if (timer !== undefined || isStopped) return
    const pauseMs = Math.max(0, askedAt + ASK_EVERY_MS - Date.now())
    timer = setTimeout(async () => {
      askedAt = Date.now()
      // A name is worth no error: it is asked for again after a while.
      await ask().catch(() => undefined)
      timer = undefined
      if (wanted.size > 0) plan()
    }, pauseMs)
  }

  return {
    nameOf(userId) {
      const name = names.get(userId)
      const isUnknown = name === undefined && Date.now() - (strangers.get(userId) ?? 0) > ASK_EVERY_MS
      if (isUnknown && UserId.safeParse(userId).success) {
        wanted.add(userId)
        plan()
      }
      return name ?? undefined
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
