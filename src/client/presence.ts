import { type Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, outdatedTimeout, removeAwarenessStates } from 'y-protocols/awareness'
import { withoutClient } from './room-frame.ts'

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
  /** The connection is gone; if not briefly, nobody vouches for the others any more. */
  readonly lose: (isBrief: boolean) => void
  readonly stop: () => void
}

interface Change {
  readonly added: readonly number[]
  readonly updated: readonly number[]
  readonly removed: readonly number[]
}

/** Three times within the time after which an awareness drops a state that was not renewed. */
const VOUCH_MS = outdatedTimeout / 3

/**
 * Starts to follow an awareness. Its own timer renews a state every 15 seconds and drops those of others after 30; over a room's
 * connection neither is needed, since the room says who leaves: a renewal is not sent, and while the connection lives so do the others.
 */
export function followPresence({ awareness, send }: PresenceParts): Presence {
  const origin = {}
  const own = awareness.clientID
  /** What the room knows of us. Until then an empty state, which every awareness starts with, is not worth a message. */
  let shown: string | undefined
  /** Those whom the room vouches for. */
  const others = new Set<number>()
  let vouching: ReturnType<typeof setInterval> | undefined

  function show(): void {
    const state = awareness.getLocalState()
    const isEmpty = state === null || Object.keys(state).length === 0
    if (isEmpty && shown === undefined) return
    shown = state === null ? undefined : JSON.stringify(state)
    send(encodeAwarenessUpdate(awareness, [own]))
  }

  const isRenewal = (): boolean => shown !== undefined && JSON.stringify(awareness.getLocalState()) === shown

  function update({ added, updated, removed }: Change, by: unknown): void {
    if (by === origin) {
      for (const id of [...added, ...updated]) others.add(id)
      for (const id of removed) others.delete(id)
      // Said by the room, "removed" means: your clock is behind; the awareness has moved it on.
      if (removed.includes(own)) show()
    } else if ([...added, ...updated, ...removed].includes(own) && !isRenewal()) show()
  }

  function vouch(): void {
    for (const id of others) {
      const meta = awareness.meta.get(id)
      if (meta && awareness.getStates().has(id)) awareness.meta.set(id, { ...meta, lastUpdated: Date.now() })
    }
  }

  function forgetOthers(): void {
    removeAwarenessStates(
      awareness,
      [...awareness.getStates().keys()].filter((id) => id !== own),
      origin,
    )
  }

  awareness.on('update', update)
  return {
    open() {
      clearInterval(vouching)
      vouching = setInterval(vouch, VOUCH_MS)
      const wasShown = shown !== undefined
      shown = undefined
      // Plain y-websocket servers ignore a state whose clock they have seen leave; setting it again moves the clock on.
      if (wasShown) awareness.setLocalState(awareness.getLocalState())
      else show()
    },
    show,
    // The room renews states for those who need it; the own one is known better here.
    hear: (bytes) => applyAwarenessUpdate(awareness, withoutClient(bytes, own), origin),
    lose(isBrief) {
      clearInterval(vouching)
      if (!isBrief) forgetOthers()
    },
    stop() {
      clearInterval(vouching)
      awareness.off('update', update)
      forgetOthers()
    },
  }
}
