/** Runs pieces of work one after the other, in the order they came. */
export type Mutex = <T>(work: () => Promise<T>) => Promise<T>

/** Makes a mutex; work that fails does not hold up what waits behind it. */
export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const turn = last.then(work)
    last = turn.catch(() => undefined)
    return turn
  }
}
