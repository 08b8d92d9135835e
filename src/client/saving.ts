/** How soon after a change the room is asked whether it is stored; changes in between share one question. */
const ASK_AFTER_MS = 1_000

/** What following the changes needs. */
export interface SavingParts {
  /** Asks the room to echo a counter; answers whether it could be sent. */
  readonly ask: (counter: number) => boolean
  /** All changes of this client are stored. */
  readonly onSaved: () => void
}

/** Follows this client's changes until they are stored for good. */
export interface Saving {
  readonly hasUnsaved: () => boolean
  /** A change was made here. */
  readonly noteChange: () => void
  /** Resolves when all changes made so far are stored. */
  readonly saved: () => Promise<void>
  /** All changes so far have been sent on this connection, so an echo can vouch for them. */
  readonly open: () => void
  /** The connection is gone, and with it the questions. */
  readonly lose: () => void
  /** Hears a counter back. */
  readonly hear: (counter: number) => void
  /** Changes were refused: none is stored until the room asks for them again. */
  readonly deny: (cause: Error) => void
  /** It is over. */
  readonly end: (cause: Error) => void
}

interface Waiter {
  /** The question whose echo it waits for; unasked before. */
  counter: number | undefined
  readonly resolve: () => void
  readonly reject: (cause: Error) => void
}

interface State extends SavingParts {
  isOpen: boolean
  /** Why no change can be stored: refused for now, or over. */
  refusal: Error | undefined
  changes: number
  savedChanges: number
  /** The last question and how many changes had been made by then; the room may skip earlier ones. */
  counter: number
  changesAsked: ReadonlyMap<number, number>
  waiters: Waiter[]
  timer: ReturnType<typeof setTimeout> | undefined
}

/** Starts with nothing changed. */
export function followSaving(parts: SavingParts): Saving {
  const s: State = {
    ...parts,
    isOpen: false,
    refusal: undefined,
    changes: 0,
    savedChanges: 0,
    counter: 0,
    changesAsked: new Map(),
    waiters: [],
    timer: undefined,
  }
  return {
    hasUnsaved: () => s.changes > s.savedChanges,
    noteChange() {
      s.changes++
      s.timer ??= setTimeout(() => ask(s), ASK_AFTER_MS)
    },
    saved: () =>
      new Promise((resolve, reject) => {
        if (s.refusal) return reject(s.refusal)
        s.waiters.push({ counter: undefined, resolve, reject })
        ask(s)
      }),
    open() {
      s.isOpen = true
      s.refusal = undefined
      if (s.waiters.length > 0 || s.changes > s.savedChanges) ask(s)
    },
    lose() {
      s.isOpen = false
      // Counters go on, so an echo on the next connection answers whoever waited for one on this.
      s.changesAsked = new Map()
    },
    hear: (counter) => hear(s, counter),
    deny: (cause) => refuse(s, cause),
    end(cause) {
      clearTimeout(s.timer)
      s.isOpen = false
      refuse(s, cause)
    },
  }
}

function ask(s: State): void {
  clearTimeout(s.timer)
  s.timer = undefined
  if (!s.isOpen || s.refusal || !s.ask(s.counter + 1)) return
  s.counter++
  s.changesAsked = new Map([...s.changesAsked, [s.counter, s.changes]])
  for (const waiter of s.waiters) waiter.counter ??= s.counter
}

function hear(s: State, counter: number): void {
  const changes = s.changesAsked.get(counter)
  if (changes === undefined || s.refusal) return
  s.changesAsked = new Map([...s.changesAsked].filter(([asked]) => asked > counter))
  const had = s.changes > s.savedChanges
  s.savedChanges = Math.max(s.savedChanges, changes)
  const done = s.waiters.filter((w) => w.counter !== undefined && w.counter <= counter)
  s.waiters = s.waiters.filter((w) => !done.includes(w))
  for (const waiter of done) waiter.resolve()
  if (had && s.savedChanges === s.changes) s.onSaved()
}

function refuse(s: State, cause: Error): void {
  s.refusal = cause
  const { waiters } = s
  s.waiters = []
  for (const waiter of waiters) waiter.reject(cause)
}
