import fc from 'fast-check'
import * as encoding from 'lib0/encoding'
import { describe, expect, test } from 'vitest'
import { writePermissionDenied } from 'y-protocols/auth'
import { Awareness, encodeAwarenessUpdate } from 'y-protocols/awareness'
import { writeSyncStep1, writeSyncStep2, writeUpdate } from 'y-protocols/sync'
import * as Y from 'yjs'
import { isProblem } from '../../src/contract/problem.ts'
import { awarenessFrame, deniedFrame, readFrame, step1Frame, step2Frame, updateFrame } from '../../src/edge/rooms/framing.ts'

/** A frame as y-websocket's provider builds it. */
const theirs = (type: number, write: (encoder: encoding.Encoder) => void) =>
  encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, type)
    write(encoder)
  })

const doc = new Y.Doc()
doc.getText('t').insert(0, 'some text')

describe('frames are those of y-protocols, byte for byte', () => {
  test('step 1', () => expect(step1Frame(Y.encodeStateVector(doc))).toEqual(theirs(0, (e) => writeSyncStep1(e, doc))))
  test('step 2', () => expect(step2Frame(Y.encodeStateAsUpdate(doc))).toEqual(theirs(0, (e) => writeSyncStep2(e, doc))))
  test('update', () => {
    const update = Y.encodeStateAsUpdate(doc)
    expect(updateFrame(update)).toEqual(theirs(0, (e) => writeUpdate(e, update)))
  })
  test('permission denied', () => expect(deniedFrame('forbidden')).toEqual(theirs(2, (e) => writePermissionDenied(e, 'forbidden'))))
  test('awareness', () => {
    const awareness = new Awareness(doc)
    awareness.setLocalState({ name: 'Zoë', cursor: null })
    const frame = theirs(1, (e) => encoding.writeVarUint8Array(e, encodeAwarenessUpdate(awareness, [doc.clientID])))
    const [message] = readFrame(frame)
    expect(message?.kind).toBe('awareness')
    expect(awarenessFrame(message?.kind === 'awareness' ? message.entries : [])).toEqual(frame)
    awareness.destroy()
  })
})

describe('what clients send is read', () => {
  test('several messages in one frame', () => {
    const frame = Uint8Array.from([...step1Frame(new Uint8Array([0])), ...updateFrame(new Uint8Array([0, 0])), 3])
    expect(readFrame(frame).map((m) => m.kind)).toEqual(['step1', 'update', 'query-awareness'])
  })

  test('an echo is handed back whole, up to the size of a counter', () => {
    const frame = Uint8Array.from([102, 1, 42])
    expect(readFrame(frame)).toEqual([{ kind: 'echo', frame }])
    expect(() => readFrame(Uint8Array.from([102, ...Array(64).fill(1)]))).toThrow()
  })

  test('a frame packs a few dozen messages at most', () => {
    const messages = (count: number) => Uint8Array.from(Array.from({ length: count }, () => [1, 1, 0]).flat())
    expect(readFrame(messages(32))).toHaveLength(32)
    expect(() => readFrame(messages(33))).toThrow()
  })

  test('numbers beyond any client are refused', () => {
    const withClock = (clientId: number, clock: number) => awarenessFrame([{ clientId, clock, json: new TextEncoder().encode('{}') }])
    expect(readFrame(withClock(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER))).toHaveLength(1)
    expect(() => readFrame(withClock(1, 2 ** 53))).toThrow()
  })
})

/** Either messages that lie within the frame, or the one problem. */
function holdsUp(frame: Uint8Array): void {
  try {
    const messages = readFrame(frame)
    expect(messages.length).toBeGreaterThan(0)
    const bytes = messages.flatMap((m) => {
      if (m.kind === 'step1') return [m.stateVector.byteLength]
      if (m.kind === 'step2' || m.kind === 'update') return [m.update.byteLength]
      if (m.kind === 'awareness') return m.entries.map((e) => e.json.byteLength)
      return []
    })
    expect(bytes.reduce((sum, n) => sum + n, 0)).toBeLessThan(frame.byteLength)
  } catch (error) {
    expect(isProblem(error) && error.slug).toBe('invalid-request')
  }
}

test('no bytes whatever break the reader', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), holdsUp), { numRuns: 3_000 })
})

test('no damage to a good frame breaks the reader', () => {
  const entry = fc.record({ clientId: fc.nat(), clock: fc.nat(), json: fc.json().map((s) => new TextEncoder().encode(s)) })
  const good = fc.oneof(
    fc.uint8Array().map(updateFrame),
    fc.uint8Array().map(step1Frame),
    fc.array(entry, { maxLength: 5 }).map(awarenessFrame),
  )
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })
  fc.assert(
    fc.property(good, damage, fc.nat(), (frame, hits, cut) => {
      const hurt = frame.slice(0, frame.byteLength - (cut % 4))
      for (const [at, byte] of hits) if (hurt.byteLength > 0) hurt[at % hurt.byteLength] = byte
      holdsUp(hurt)
    }),
    { numRuns: 3_000 },
  )
})

test('what is written is read back', () => {
  const entries = fc.array(fc.record({ clientId: fc.nat(), clock: fc.nat(), json: fc.uint8Array({ minLength: 1 }) }), { maxLength: 20 })
  fc.assert(
    fc.property(entries, (list) => {
      expect(readFrame(awarenessFrame(list))).toEqual([{ kind: 'awareness', entries: list }])
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array(), (update) => {
      expect(readFrame(updateFrame(update))).toEqual([{ kind: 'update', update }])
    }),
  )
})
