import { type Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness'

/** What showing oneself needs. */
export interface PresenceParts {
  readonly awareness: Awareness
  readonly send: (update: Uint8Array) => void
}

/** Tells the room of this client's own presence and nobody else's: what comes from others is never sent back. */
export interface Presence {
  /** Shows oneself on a new connection. */
  readonly open: () => void
  /** Shows oneself again. */
  readonly show: () => void
  /** Takes in what the room says. */
  readonly hear: (update: Uint8Array) => void
  /** Forgets the others: nobody vouches for them any more. */
  readonly forgetOthers: () => void
  readonly stop: () => void
}

interface Change {
  readonly added: readonly number[]
  readonly updated: readonly number[]
  readonly removed: readonly number[]
}

/** Starts to follow an awareness; its own timer renews a state every 15 seconds. */
export function followPresence({ awareness, send }: PresenceParts): Presence {
  const origin = {}
  const own = awareness.clientID
  /** Whether the room knows of us. Until then an empty state, which every awareness starts with, is not worth a message. */
  let isShown = false

  function show(): void {
    const state = awareness.getLocalState()
    const isEmpty = state === null || Object.keys(state).length === 0
    if (isEmpty && !isShown) return
    isShown = state !== null
    send(encodeAwarenessUpdate(awareness, [own]))
  }

  function update({ added, updated, removed }: Change, by: unknown): void {
    // Said by the room, "removed" means: your clock is behind; the awareness has moved it on.
    if (by === origin ? removed.includes(own) : [...added, ...updated, ...removed].includes(own)) show()
  }

  awareness.on('update', update)
  return {
    open() {
      const wasShown = isShown
      isShown = false
      // Plain y-websocket servers ignore a state whose clock they have seen leave; setting it again moves the clock on.
      if (wasShown) awareness.setLocalState(awareness.getLocalState())
      else show()
    },
    show,
    hear: (bytes) => applyAwarenessUpdate(awareness, bytes, origin),
    forgetOthers: () =>
      removeAwarenessStates(
        awareness,
        [...awareness.getStates().keys()].filter((id) => id !== own),
        origin,
      ),
    stop: () => awareness.off('update', update),
  }
}
