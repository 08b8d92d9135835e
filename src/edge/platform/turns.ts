/** What may be heard in one go: some milliseconds of work. */
const MESSAGES_MAX = 32
const BYTES_MAX = 262_144
/** Messages that come more slowly than so many in this time leave room for others by themselves. */
const GO_MS = 50

/** Lets others have their turn between messages that come without end. */
export interface Turns {
  /** Counts a message; once it was many in one go, the object hears nothing until all others were looked at. */
  readonly note: (bytes: number) => void
  /** As {@link note}, for a message that did not come as an event of its own; resolves when the next may be heard. */
  readonly take: (bytes: number) => Promise<void> | undefined
}

/**
 * The runtime reads on from a socket as long as anything has come by it, and looks at no other socket and no timer meanwhile, whatever
 * object they belong to: somebody who types 40,000 keystrokes at once would silence everybody else for seconds. It does wait for the
 * input gate, and a timer that the gate waits for has it look at everything else.
 */
export function openTurns(ctx: Pick<DurableObjectState, 'blockConcurrencyWhile'>): Turns {
  let since = 0
  let messages = 0
  let bytes = 0

  function isOver(more: number): boolean {
    const now = Date.now()
    if (now - since > GO_MS) begin(now)
    messages += 1
    bytes += more
    if (messages < MESSAGES_MAX && bytes < BYTES_MAX) return false
    begin(now)
    return true
  }

  function begin(now: number): void {
    since = now
    messages = 0
    bytes = 0
  }

  return {
    note(more) {
      if (isOver(more)) ctx.blockConcurrencyWhile(pause)
    },
    take: (more) => (isOver(more) ? pause() : undefined),
  }
}

const pause = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 0))
