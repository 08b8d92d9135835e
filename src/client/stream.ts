import type { Endpoint } from '../contract/endpoint.ts'
import { isProblem } from '../contract/problem.ts'
import type { AnyInput, CallOptions, Download, Parts } from './api.ts'
import { backoffMs, pause, RETRY } from './backoff.ts'
import { persist, sendAsUser } from './call.ts'
import { type Exchange, randomHex } from './exchange.ts'
import { ContractError, NetworkError, problemFrom } from './failure.ts'
import type { Credentials } from './session.ts'

/** Carries out an operation whose answer is a stream. */
export type Streamer = (endpoint: Endpoint, input: AnyInput, options?: CallOptions) => Promise<Parts<unknown> | Download>

/** Tries to take a stream up again. */
const FOLLOW_TRIES = 6

/** The service beats every 3 and 15 seconds; after three missed beats nobody is there any more. */
const SILENCE_MS = { lines: 10_000, events: 45_000 }

/** One call whose answer goes on. */
interface Call {
  readonly endpoint: Endpoint
  /** Of the caller, and of closing. */
  readonly signal: AbortSignal
  readonly traceId: string
  readonly open: (lastEventId?: string) => Promise<Response>
}

/** Makes the function behind the methods whose answers are streams. */
export function createStreamer(exchange: Exchange, session: Credentials): Streamer {
  return async (endpoint, input, { signal: given } = {}) => {
    const closing = new AbortController()
    const signal = given ? AbortSignal.any([given, closing.signal]) : closing.signal
    signal.throwIfAborted()
    const traceId = randomHex(16)
    const open = (lastEventId?: string) =>
      sendAsUser(session, (tokens) => exchange.open({ endpoint, input, accessToken: tokens?.accessToken, traceId, lastEventId, signal }), {
        signal,
      })
    const call: Call = { endpoint, signal, traceId, open }
    const answer = await open()
    if (endpoint.stream === 'bytes') return downloadOf(answer)
    return closable(endpoint.stream === 'events' ? follow(call, answer) : readLines(call, answer), closing)
  }
}

function downloadOf({ headers, body }: Response): Download {
  const length = headers.get('content-length')
  return { bytes: length === null ? undefined : Number(length), body: body ?? new Blob([]).stream() }
}

/** A generator that waits, or was never begun, hears nothing of `return`: what it reads is aborted instead. */
function closable<T>(parts: AsyncGenerator<T, void>, closing: AbortController): Parts<T> {
  const close = () => closing.abort()
  async function next(): Promise<IteratorResult<T, void>> {
    try {
      return await parts.next()
    } catch (error) {
      if (closing.signal.aborted) return { done: true, value: undefined }
      throw error
    }
  }
  async function end(): Promise<IteratorResult<T, void>> {
    close()
    return { done: true, value: undefined }
  }
  return { close, [Symbol.asyncIterator]: () => ({ next, return: end }) }
}

/** Text of an answer, line by line. What was not ended by its sender was cut, and so was what is silent for too long. */
async function* linesOf({ body }: Response, silenceMs: number): AsyncGenerator<string, void> {
  const reader = (body ?? new Blob([]).stream()).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), silenceMs)
      const lines = (rest + decoder.decode(value, { stream: !done })).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
      if (!done) continue
      if (rest !== '') throw new TypeError('The answer was cut off.')
      return
    }
  } finally {
    reader.cancel().catch(() => undefined)
  }
}

function within<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TypeError('Nothing was heard for too long.')), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** What broke on the way, in the words of every call. */
function brokenOff({ signal, traceId }: Call, cause: unknown): unknown {
  if (signal.aborted) return signal.reason
  if (isProblem(cause) || cause instanceof ContractError || cause instanceof NetworkError) return cause
  return new NetworkError('The answer broke off.', { traceId, cause })
}

/** Its last part says that it is the last: without that an answer was cut, between two lines too. */
async function* readLines(call: Call, answer: Response): AsyncGenerator<unknown, void> {
  let last: unknown
  try {
    for await (const line of linesOf(answer, SILENCE_MS.lines)) {
      if (line === '') continue
      last = readLine(call.endpoint, line)
      yield last
    }
    if (!isEnd(last)) throw new TypeError('The answer stopped before its end.')
  } catch (error) {
    throw brokenOff(call, error)
  }
}

const isEnd = (part: unknown): boolean => typeof part === 'object' && part !== null && 'type' in part && part.type === 'end'

function readLine(endpoint: Endpoint, line: string): unknown {
  const value = parse(endpoint, line)
  const problem = typeof value === 'object' && value !== null && 'problem' in value && problemFrom(value.problem, new Headers())
  if (problem) throw problem
  return checked(endpoint, value)
}

function parse(endpoint: Endpoint, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ContractError(`A part of ${endpoint.id} is no JSON.`, { cause })
  }
}

function checked(endpoint: Endpoint, value: unknown): unknown {
  const { success, data, error } = endpoint.response.safeParse(value)
  if (success) return data
  throw new ContractError(`A part of ${endpoint.id} is not what its contract says.`, { cause: error })
}

/** One event of a stream (WHATWG HTML §9.2). */
interface Event {
  readonly id: string | undefined
  readonly part: unknown
}

async function* readEvents(endpoint: Endpoint, answer: Response): AsyncGenerator<Event, void> {
  let id: string | undefined
  let event = 'message'
  let data: string[] = []
  for await (const line of linesOf(answer, SILENCE_MS.events)) {
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (field === 'id') id = value
    else if (field === 'event') event = value
    else if (field === 'data') data.push(value)
    if (line !== '') continue
    if (data.length > 0) yield { id, part: checked(endpoint, { event, data: parse(endpoint, data.join('\n')) }) }
    event = 'message'
    data = []
  }
}

/** Takes the stream up again where it ended, as often as it ends, until there is nothing more to follow. */
async function* follow(call: Call, first: Response): AsyncGenerator<unknown, void> {
  let answer = first
  let lastEventId: string | undefined
  for (let quiet = 0; answer.status !== 204; ) {
    try {
      quiet += 1
      for await (const { id, part } of readEvents(call.endpoint, answer)) {
        lastEventId = id ?? lastEventId
        quiet = 0
        yield part
      }
    } catch (error) {
      const cause = brokenOff(call, error)
      if (!(cause instanceof NetworkError)) throw cause
    }
    if (quiet > 0) await pause(backoffMs(quiet, RETRY), call.signal)
    answer = await persist(() => call.open(lastEventId), { tries: FOLLOW_TRIES, signal: call.signal })
  }
}
