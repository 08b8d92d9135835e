import type { MessageAction } from '../contract/room-messages.ts'

/** Where an event was put. */
export interface Sent {
  readonly seq: number
  /** Unix milliseconds. */
  readonly at: number
}

/** What waits to be stored. */
export interface Pending {
  readonly cid: string
  readonly action: MessageAction
}

/**
 * What was published and not acknowledged yet. One at a time is on its way, so the order stays whatever is refused for a while,
 * and after a disconnect only that one is in doubt; the service counts its `cid` once.
 */
export interface Outbox {
  readonly pending: () => readonly Pending[]
  readonly publish: (cid: string, action: MessageAction) => Promise<Sent>
  readonly acknowledge: (ack: Sent & { readonly cid: string }) => void
  readonly refuse: (cid: string, cause: Error) => void
  /** Sends one again after a while. */
  readonly retry: (cid: string, ms: number) => void
  /** A connection is there. */
  readonly open: () => void
  readonly lose: () => void
  /** Nothing can be sent any more. */
  readonly end: (cause: Error) => void
}

/** What an outbox needs. */
export interface OutboxParts {
  /** Sends; answers whether there was a connection. */
  readonly send: (pending: Pending) => boolean
  /** What is pending changed. */
  readonly changed: () => void
}

interface Entry extends Pending {
  readonly resolve: (sent: Sent) => void
  readonly reject: (cause: Error) => void
}

/** Makes an empty outbox. */
export function createOutbox({ send, changed }: OutboxParts): Outbox {
  let entries: readonly Entry[] = []
  let ended: Error | undefined
  let isOpen = false
  let isSent = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function pump(): void {
    const [first] = entries
    if (!first || !isOpen || isSent || timer !== undefined) return
    isSent = send({ cid: first.cid, action: first.action })
  }

  function pauseFor(ms: number): void {
    isSent = false
    clearTimeout(timer)
    timer = setTimeout(() => {
      timer = undefined
      pump()
    }, ms)
  }

  function settle(cid: string, by: (entry: Entry) => void): void {
    const found = entries.find((entry) => entry.cid === cid)
    if (!found) return
    if (found === entries[0]) isSent = false
    entries = entries.filter((entry) => entry !== found)
    by(found)
    changed()
    pump()
  }

  function lose(): void {
    isOpen = false
    isSent = false
    clearTimeout(timer)
    timer = undefined
  }

  return {
    pending: () => entries,
    publish: (cid, action) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended)
        entries = [...entries, { cid, action, resolve, reject }]
        changed()
        pump()
      }),
    acknowledge: ({ cid, seq, at }) => settle(cid, (entry) => entry.resolve({ seq, at })),
    refuse: (cid, cause) => settle(cid, (entry) => entry.reject(cause)),
    retry: (cid, ms) => entries[0]?.cid === cid && pauseFor(ms),
    open() {
      lose()
      isOpen = true
      pump()
    },
    lose,
    end(cause) {
      lose()
      ended = cause
      for (const { cid } of entries) settle(cid, (entry) => entry.reject(cause))
    },
  }
}
