import type { Endpoint } from '../contract/endpoint.ts'
import { isProblem, type ProblemSlug } from '../contract/problem.ts'
import type { AnyInput, CallOptions } from './api.ts'
import { backoffMs, pause, RETRY, unlessAborted } from './backoff.ts'
import { type Exchange, randomHex } from './exchange.ts'
import { NetworkError } from './failure.ts'
import type { Credential, Credentials } from './session.ts'

/** Tries of one read. */
const READ_TRIES = 4
/** A read that hangs this long is given up and repeated. */
const READ_TIMEOUT_MS = 30_000
/** A service that asks for a longer pause is not waited for: the caller decides. */
const RETRY_AFTER_SECONDS_MAX = 30

/** How to carry out an operation. */
export interface CallerOptions extends CallOptions {
  /** Tries of a read, where somebody else repeats the whole. */
  readonly tries?: number | undefined
}

/** Carries out one operation. */
export type Caller = (endpoint: Endpoint, input: AnyInput, options?: CallerOptions) => Promise<unknown>

/** Whether repeating a read may help. */
const isTransient = (error: unknown): boolean => error instanceof NetworkError || (isProblem(error) && error.slug === 'unavailable')

const has = (error: unknown, slug: ProblemSlug): boolean => isProblem(error) && error.slug === slug

/** Makes the function behind every method: reads are repeated through an outage, and a refused access token is replaced once. */
export function createCaller(exchange: Exchange, session: Credentials): Caller {
  return async (endpoint, input, { signal, tries = READ_TRIES } = {}) => {
    const traceId = randomHex(16)
    const sendOnce = (tokens: Credential | undefined, timeoutMs?: number) =>
      exchange.ask({ endpoint, input, accessToken: tokens?.accessToken, traceId, timeoutMs, signal })
    const send = (tokens: Credential | undefined) =>
      endpoint.method === 'GET' ? persist(() => sendOnce(tokens, READ_TIMEOUT_MS), { tries, signal }) : sendOnce(tokens)
    signal?.throwIfAborted()
    const isRepeatable = !(input.bytes instanceof ReadableStream)
    return endpoint.access === 'public' ? send(undefined) : unlessAborted(sendAsUser(session, send, { signal, isRepeatable }), signal)
  }
}

/** Repeats a read until it is answered or the tries are used up. */
export async function persist<T>(read: () => Promise<T>, { tries, signal }: CallerOptions & { readonly tries: number }): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await read()
    } catch (error) {
      const askedSeconds = (isProblem(error) && error.extras.retryAfterSeconds) || 0
      if (!isTransient(error) || failures >= tries || askedSeconds > RETRY_AFTER_SECONDS_MAX) throw error
      await pause(askedSeconds * 1000 + backoffMs(failures, RETRY), signal)
    }
  }
}

type Send<T> = (tokens: Credential | undefined) => Promise<T>

/** How a call is sent for somebody. */
interface Sending extends CallOptions {
  /** Whether what is sent can be sent again. */
  readonly isRepeatable?: boolean
}

/** Sends as whoever is signed in; a refused access token is replaced once. */
export async function sendAsUser<T>(session: Credentials, send: Send<T>, { signal, isRepeatable = true }: Sending): Promise<T> {
  const tokens = await session.current()
  signal?.throwIfAborted()
  try {
    return await send(tokens)
  } catch (error) {
    if (has(error, 'session-ended')) await session.drop(tokens?.sessionId, 'session-ended')
    if (!has(error, 'unauthenticated') || !isRepeatable) throw error
    return await sendRenewed(session, { tokens, send, refusal: error })
  }
}

/** The service refuses a token before it does anything, so the call may be repeated whatever it is. */
async function sendRenewed<T>(
  session: Credentials,
  { tokens, send, refusal }: { readonly tokens: Credential | undefined; readonly send: Send<T>; readonly refusal: unknown },
): Promise<T> {
  const renewed = await session.renew(tokens)
  if (!renewed) throw refusal
  try {
    return await send(renewed)
  } catch (error) {
    if (has(error, 'session-ended')) await session.drop(renewed.sessionId, 'session-ended')
    throw error
  }
}
