/**
 * Calls back when the device may have come back to the network or the page to the front: moments at which a connection
 * is to be looked after at once. Where neither can happen, as in Node, it never calls. The returned function ends it.
 */
export function watchWaking(awoke: () => void): () => void {
  const shown = () => {
    if (document.visibilityState === 'visible') awoke()
  }
  const hasNetworkEvents = typeof addEventListener === 'function'
  const hasPage = typeof document !== 'undefined'
  if (hasNetworkEvents) addEventListener('online', awoke)
  if (hasPage) document.addEventListener('visibilitychange', shown)
  return () => {
    if (hasNetworkEvents) removeEventListener('online', awoke)
    if (hasPage) document.removeEventListener('visibilitychange', shown)
  }
}
