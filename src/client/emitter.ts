/** Called for each event; what it throws reaches the platform's error reporting, never the code that spoke. */
export type Listener<T> = (event: T) => void

/** Typed events. */
export interface Emitter<Events> {
  /** Listens until the returned function is called. */
  readonly on: <K extends keyof Events>(name: K, listener: Listener<Events[K]>) => () => void
  /** Tells every listener. */
  readonly emit: <K extends keyof Events>(name: K, event: Events[K]) => void
}

/** Makes an emitter without listeners. */
export function createEmitter<Events>(): Emitter<Events> {
  const listeners = new Map<keyof Events, Set<Listener<never>>>()
  return {
    on(name, listener) {
      // Wrapped, so that a function given twice is two listeners and each `off` removes its own.
      const own: Listener<never> = (event) => listener(event)
      const same = listeners.get(name) ?? new Set()
      listeners.set(name, same.add(own))
      return () => void same.delete(own)
    },
    emit(name, event) {
      for (const listener of [...(listeners.get(name) ?? [])]) tell(listener, event)
    },
  }
}

function tell<T>(listener: Listener<never>, event: T): void {
  try {
    ;(listener as Listener<T>)(event)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
