/** Something that calls may wait for, and that may come and go. */
export interface Gate {
  readonly isOpen: () => boolean
  /** Resolves when it is open, at once or later; rejects when it can never be. */
  readonly wait: () => Promise<void>
  readonly open: () => void
  readonly shut: () => void
  /** It will never open again. */
  readonly end: (cause: Error) => void
}

/** Makes a gate, shut. */
export function createGate(): Gate {
  let isOpen = false
  let ended: Error | undefined
  const waiters: { readonly resolve: () => void; readonly reject: (cause: Error) => void }[] = []
  const release = () => waiters.splice(0)
  return {
    isOpen: () => isOpen,
    wait: () =>
      new Promise((resolve, reject) => {
        if (ended) reject(ended)
        else if (isOpen) resolve()
        else waiters.push({ resolve, reject })
      }),
    open() {
      if (ended) return
      isOpen = true
      for (const { resolve } of release()) resolve()
    },
    shut() {
      isOpen = false
    },
    end(cause) {
      if (ended) return
      ended = cause
      isOpen = false
      for (const { reject } of release()) reject(cause)
    },
  }
}
