import type { LiveClientFrame, LiveMember, LiveServerFrame } from '../contract/room-live.ts'

/** Who is here. */
export interface PresenceState {
  /** People, not sockets; in a crowd a sample. */
  readonly members: readonly LiveMember[]
  /** How many there are. */
  readonly count: number
  readonly isSample: boolean
}

/** What one shows of oneself: an object of JSON, or null for nothing but that one is here. */
export type ShownState = Extract<LiveClientFrame, { readonly type: 'presence' }>['state']

/** Follows who is here and shows oneself. */
export interface People {
  readonly state: () => PresenceState
  readonly show: (state: ShownState) => void
  readonly hear: (frame: Extract<LiveServerFrame, { readonly type: 'presence' }>) => void
  /** A connection is there. */
  readonly open: () => void
  /** Shows oneself again after a while: the last time was too soon. */
  readonly retry: (ms: number) => void
  /** Nobody vouches for the others any more. */
  readonly forget: () => void
  readonly stop: () => void
}

/** What following people needs. */
export interface PeopleParts {
  readonly send: (frame: LiveClientFrame) => boolean
  readonly changed: () => void
}

/** What is shown changes with every move of a pointer; others need not see each step. */
const SHOW_EVERY_MS = 100

const NOBODY: PresenceState = { members: [], count: 0, isSample: false }

/** Starts alone. */
export function createPeople({ send, changed }: PeopleParts): People {
  let state = NOBODY
  let mine: ShownState | undefined
  let isStale = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function tell(): void {
    isStale = false
    if (mine !== undefined) send({ type: 'presence', state: mine })
    rest(SHOW_EVERY_MS)
  }

  function rest(ms: number): void {
    clearTimeout(timer)
    timer = setTimeout(() => {
      timer = undefined
      if (isStale) tell()
    }, ms)
  }

  return {
    state: () => state,
    show(next) {
      mine = next
      if (timer === undefined) tell()
      else isStale = true
    },
    hear({ isWhole, on, off, count, isSample }) {
      const members = new Map(isWhole ? [] : state.members.map((member) => [member.userId, member]))
      for (const member of on) members.set(member.userId, member)
      for (const userId of off) members.delete(userId)
      state = { members: [...members.values()], count, isSample }
      changed()
    },
    open: () => mine !== undefined && tell(),
    retry(ms) {
      isStale = true
      rest(ms)
    },
    forget() {
      if (state.count === 0) return
      state = NOBODY
      changed()
    },
    stop: () => clearTimeout(timer),
  }
}
