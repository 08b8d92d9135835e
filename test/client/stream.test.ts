import { afterEach, describe, expect, test, vi } from 'vitest'
import { createClient, NetworkError } from '../../src/client/client.ts'
import type { CommandPart } from '../../src/contract/shell.ts'

const ID = (prefix: string) => `${prefix}_${'0'.repeat(26)}` as never
const STARTED = { type: 'started', shellId: ID('shl') }
const END = { type: 'end', shellId: ID('shl'), exitCode: 0, signal: null, truncated: false, timedOut: false, killed: null, durationMs: 1 }
const PROBLEM = { type: '/problems/session-ended', title: 'Over.', status: 401, traceId: '0'.repeat(32) }
const encoder = new TextEncoder()
afterEach(() => void vi.useRealTimers())

type Sent = { readonly headers: Headers; readonly signal: AbortSignal | null | undefined }

/** A client whose service gives these answers, one after the other, and what it asked for. */
function clientOf(...answers: readonly (Response | (() => Response))[]) {
  const sent: Sent[] = []
  const client = createClient({
    origin: 'https://parvis.test',
    apiKey: `pvk_${'0'.repeat(50)}`,
    fetch: (_, { headers, signal }) => {
      const answer = answers[sent.length]
      sent.push({ headers: new Headers(headers), signal })
      if (!answer) throw new TypeError('no answer')
      return typeof answer === 'function' ? answer() : answer
    },
  })
  return { client, sent }
}

/** An answer in pieces of so many bytes; it breaks at its end when told to. */
function inPieces(text: string, size: number, { isCut = false, type = 'application/jsonl' } = {}): Response {
  const bytes = encoder.encode(text)
  let at = 0
  const body = new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.subarray(at, at + size))
      else if (isCut) controller.error(new TypeError('terminated'))
      else controller.close()
      at += size
    },
  })
  return new Response(body, { headers: { 'content-type': type } })
}

const lines = (...values: readonly object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')
const exec = { params: { hostId: ID('hst') }, body: { command: 'id' } }
const runId = ID('run')

async function all<T>(parts: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = []
  for await (const part of parts) seen.push(part)
  return seen
}

describe('an answer in lines', () => {
  test('is the same in pieces of any size; silence in between is nothing', async () => {
    const told: CommandPart[] = [STARTED, { type: 'stdout', text: 'é漢🚪\n\u2028' }, { type: 'stderr', text: '"' }, END] as never
    const text = lines(...told.slice(0, 2)).concat('\n\n', lines(...told.slice(2)))
    for (const size of [1, 2, 3, 7, 64, 100_000])
      expect(await all(await clientOf(inPieces(text, size)).client.streamCommand(exec))).toEqual(told)
  })

  test('that is cut, in a line or between two, ends as an outage and never as an end', async () => {
    for (const answer of [
      inPieces(lines(STARTED).concat('{"type":"std'), 9),
      inPieces(lines(STARTED), 9, { isCut: true }),
      inPieces('', 1, { isCut: true }),
      inPieces(lines(STARTED, { type: 'stdout', text: 'half' }), 9),
      inPieces('\n', 9),
      inPieces('', 1),
    ])
      await expect(all(await clientOf(answer).client.streamCommand(exec))).rejects.toThrow(NetworkError)
  })

  test('whose beats stay away ends as an outage, and is let go; with its beats it may be silent for ever', async () => {
    vi.useFakeTimers()
    let isLetGo = false
    let beats = 0
    const beating = new ReadableStream({
      start: (c) => c.enqueue(encoder.encode(lines(STARTED))),
      async pull(c) {
        if (beats === 10) return
        await new Promise((resolve) => setTimeout(resolve, 3_000))
        beats++
        c.enqueue(encoder.encode('\n'))
      },
      cancel: () => {
        isLetGo = true
      },
    })
    const parts = await clientOf(new Response(beating)).client.streamCommand(exec)
    const outcome = all(parts).catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(30_000)
    expect([beats, isLetGo]).toEqual([10, false])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await outcome).toBeInstanceOf(NetworkError)
    expect(isLetGo).toBe(true)
  })

  test('ends as the problem that it tells, and as a broken contract when it tells nonsense', async () => {
    const read = async (...told: object[]) => all(await clientOf(inPieces(lines(...told), 50)).client.streamCommand(exec))
    await expect(read(STARTED, { problem: PROBLEM })).rejects.toMatchObject({ slug: 'session-ended' })
    await expect(read(STARTED, { type: 'other' })).rejects.toThrow('not what its contract says')
    await expect(all(await clientOf(inPieces('{\n', 9)).client.streamCommand(exec))).rejects.toThrow('no JSON')
  })

  test('that is refused rejects before anything is told', async () => {
    const refused = new Response(JSON.stringify({ ...PROBLEM, type: '/problems/forbidden', status: 403 }), { status: 403 })
    await expect(clientOf(refused).client.streamCommand(exec)).rejects.toMatchObject({ slug: 'forbidden' })
    await expect(clientOf(new Response('<html>', { status: 502 })).client.streamCommand(exec)).rejects.toThrow(NetworkError)
  })

  test('is let go when its loop is left, when it is closed unread or in mid-wait, and when its signal says so', async () => {
    const endless = () => new Response(new ReadableStream({ start: (c) => c.enqueue(encoder.encode(lines(STARTED))) }))
    const left = clientOf(endless)
    for await (const _ of await left.client.streamCommand(exec)) break
    expect(left.sent[0]?.signal?.aborted).toBe(true)
    const unread = clientOf(endless)
    ;(await unread.client.streamCommand(exec)).close()
    expect(unread.sent[0]?.signal?.aborted).toBe(true)
    const abortable = (signal: AbortSignal | null | undefined) => {
      const body = new ReadableStream({ start: (c) => signal?.addEventListener('abort', () => c.error(signal.reason)) })
      return new Response(body)
    }
    const closed = clientOf(() => abortable(closed.sent[0]?.signal))
    const parts = await closed.client.streamCommand(exec)
    const waiting = all(parts)
    parts.close()
    expect(await waiting).toEqual([])
    const giving = new AbortController()
    const aborted = clientOf(() => abortable(aborted.sent[0]?.signal))
    const taken = all(await aborted.client.streamCommand(exec, { signal: giving.signal }))
    giving.abort(new Error('enough'))
    await expect(taken).rejects.toThrow('enough')
  })
})

describe('an answer in events', () => {
  const run = {
    id: runId,
    orgId: ID('org'),
    userId: null,
    command: 'id',
    parallel: 1,
    stopOnFailure: false,
    state: 'done',
    hosts: 1,
    succeeded: 1,
    failed: 0,
    createdAt: '2026-11-01T12:00:00.000Z',
  }
  const host = (seq: number) => ({
    seq,
    hostId: ID('hst'),
    name: 'web-1',
    state: 'done',
    shellId: null,
    exitCode: 0,
    signal: null,
    killed: null,
    stdout: 'x\n',
    stderr: '',
    truncated: false,
    problem: null,
    durationMs: 1,
  })
  const event = (seq: number) => `id: ${seq}\nevent: host\ndata: ${JSON.stringify(host(seq))}\n\n`
  const sse = (text: string, isCut = false) => inPieces(`unknown: 1000\n\n: \n\n${text}`, 11, { isCut, type: 'text/event-stream' })

  test('goes on where it stood after an end, a cut and an outage, until there is nothing more', async () => {
    const { client, sent } = clientOf(
      sse(event(1) + event(2)),
      sse(`${event(3)}id: 4\nevent: ho`, true),
      new Response('<html>', { status: 502 }),
      sse(`${event(4)}event: run\ndata: ${JSON.stringify(run)}\n\n`),
      new Response(null, { status: 204 }),
    )
    const seen = await all(await client.followRun({ params: { runId } }))
    expect(seen.map(({ event: name, data }) => (name === 'host' ? data.seq : data.state))).toEqual([1, 2, 3, 4, 'done'])
    expect(sent.map(({ headers }) => headers.get('last-event-id'))).toEqual([null, '2', '3', '3', '4'])
  })

  test('is taken up again where it fell silent', async () => {
    vi.useFakeTimers()
    const silent = new Response(new ReadableStream({ start: (c) => c.enqueue(encoder.encode(event(1))) }))
    const { client, sent } = clientOf(silent, sse(event(2)), new Response(null, { status: 204 }))
    const seen = all(await client.followRun({ params: { runId } }))
    await vi.advanceTimersByTimeAsync(46_000)
    expect((await seen).map(({ data }) => 'seq' in data && data.seq)).toEqual([1, 2])
    expect(sent.map(({ headers }) => headers.get('last-event-id'))).toEqual([null, '1', '2'])
  })

  test('of what is over already is empty, and of what is forgotten the problem', async () => {
    expect(await all(await clientOf(new Response(null, { status: 204 })).client.followRun({ params: { runId } }))).toEqual([])
    const gone = new Response(JSON.stringify({ ...PROBLEM, type: '/problems/gone', status: 410 }), { status: 410 })
    await expect(all(await clientOf(sse(event(1)), gone).client.followRun({ params: { runId } }))).rejects.toMatchObject({ slug: 'gone' })
  })
})

describe('bytes', () => {
  const file = { params: { hostId: ID('hst') }, query: { path: '/x' } }

  test('go as they are given, and come with their length', async () => {
    const { client, sent } = clientOf(
      new Response('{"bytes":3}', { status: 201 }),
      new Response('abc', { headers: { 'content-length': '3' } }),
    )
    expect(await client.writeFile({ ...file, bytes: 'abc' })).toEqual({ bytes: 3 })
    expect(sent[0]?.headers.get('content-type')).toBe('application/octet-stream')
    const { bytes, body } = await client.readFile(file)
    expect([bytes, await new Response(body as BodyInit).text()]).toEqual([3, 'abc'])
  })
})
