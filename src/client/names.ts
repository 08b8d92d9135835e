import type { RoomMember } from '../contract/rooms.ts'

/** What members of a room are called, here or not. */
export interface Names {
  /** Nothing for who has no seat or has not said, and until the room has told; asking for somebody unknown has it told. */
  readonly nameOf: (userId: string) => string | undefined
  readonly stop: () => void
}

/** What learning names needs. */
export interface NamesParts {
  /** Reads every seat of the room. */
  readonly listMembers: () => AsyncIterable<Pick<RoomMember, 'userId' | 'displayName'>>
  readonly changed: () => void
}

/** Somebody unknown may be new; the room is asked no more often than this. */
const ASK_EVERY_MS = 30_000

/** Starts without a name. */
export function createNames({ listMembers, changed }: NamesParts): Names {
  const names = new Map<string, string | null>()
  /** Who is to be asked for. */
  const wanted = new Set<string>()
  /** Who was asked for and has no seat. */
  const strangers = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let isStopped = false

  async function ask(): Promise<void> {
    const meant = [...wanted]
    wanted.clear()
    for await (const { userId, displayName } of listMembers()) names.set(userId, displayName)
    for (const userId of meant) if (!names.has(userId)) strangers.add(userId)
    if (!isStopped) changed()
  }

  function plan(): void {
    if (timer !== undefined || isStopped) return
    const pauseMs = Math.max(0, askedAt + ASK_EVERY_MS - Date.now())
    timer = setTimeout(async () => {
      askedAt = Date.now()
      // A name is worth no error: whoever looks again has it asked for again.
      await ask().catch(() => undefined)
      timer = undefined
      if (wanted.size > 0) plan()
    }, pauseMs)
  }

  return {
    nameOf(userId) {
      const name = names.get(userId)
      if (name === undefined && !strangers.has(userId)) {
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
