import { connect, type Socket } from 'node:net'
import { Refusal } from './refusal.ts'

/** More would only help a name with many dead addresses to use up the deadline. */
const ADDRESSES_TRIED_MAX = 4

/**
 * A TCP connection to the first address that answers, without Nagle's delay: it costs 40 ms per keystroke.
 *
 * @throws Refusal target-unreachable, target-timeout
 */
export async function dialTarget(
  addresses: readonly string[],
  port: number,
  limits: { deadlineMs: number; signal: AbortSignal },
): Promise<Socket> {
  const tried = addresses.slice(0, ADDRESSES_TRIED_MAX)
  let refusal = new Refusal('target-unreachable')
  for (const address of tried) {
    try {
      return await connectTo(address, port, { ...limits, deadlineMs: limits.deadlineMs / tried.length })
    } catch (error) {
      if (error instanceof Refusal) refusal = error
      if (limits.signal.aborted) break
    }
  }
  throw refusal
}

function connectTo(address: string, port: number, { deadlineMs, signal }: { deadlineMs: number; signal: AbortSignal }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true, keepAlive: true })
    const fail = (code: 'target-unreachable' | 'target-timeout'): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(new Refusal(code))
    }
    const timer = setTimeout(() => fail('target-timeout'), deadlineMs)
    const abort = (): void => fail('target-unreachable')
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', () => fail('target-unreachable'))
    socket.once('connect', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      resolve(socket)
    })
    if (signal.aborted) abort()
  })
}
