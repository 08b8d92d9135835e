import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CONTROL, type ControlName, decodeControl, encodeControl, GrantRequest, TargetHost } from '../../src/contract/krp.ts'
import {
  CONTROL_BYTES_MAX,
  createFrameDecoder,
  DATA_BYTES_MAX,
  decodeData,
  encodeData,
  encodeFrame,
  FRAME,
  FRAME_BYTES_MAX,
  type Frame,
  type FrameName,
  KrpError,
} from '../../src/contract/krp-frame.ts'

const names = Object.keys(FRAME) as FrameName[]
const frames = fc.record({
  name: fc.constantFrom(...names),
  id: fc.integer({ min: 1, max: 0x7fffffff }),
  payload: fc.uint8Array({ maxLength: 2_000 }),
})
const streamOf = (name: FrameName, id: number): number => (FRAME[name] < FRAME.OPEN ? 0 : id)
const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return error instanceof KrpError ? error.code : `not a KrpError: ${error}`
  }
  return 'nothing thrown'
}
const header = (len: number, type: number, stream: number): Uint8Array => {
  const bytes = new Uint8Array(9)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, len)
  view.setUint8(4, type)
  view.setUint32(5, stream)
  return bytes
}
const push = (...chunks: Uint8Array[]): Frame[] => {
  const taken: Frame[] = []
  const decoder = createFrameDecoder((frame) => taken.push(frame))
  for (const chunk of chunks) decoder.push(chunk)
  return taken
}

describe('frames', () => {
  test('any sequence of frames survives any cutting into chunks', () => {
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }), (list, cuts) => {
        const whole = Buffer.concat(list.map(({ name, id, payload }) => encodeFrame(name, streamOf(name, id), payload)))
        const chunks: Uint8Array[] = []
        for (let at = 0, i = 0; at < whole.length; i += 1) {
          const size = cuts[i % cuts.length] ?? 1
          chunks.push(whole.subarray(at, at + size))
          at += size
        }
        const taken = push(...chunks)
        expect(taken.map(({ name, stream, payload }) => [name, stream, Buffer.from(payload).toString('hex')])).toEqual(
          list.map(({ name, id, payload }) => [name, streamOf(name, id), Buffer.from(payload).toString('hex')]),
        )
      }),
    )
  })

  test('byte by byte gives the same frames, and the payload belongs to the receiver', () => {
    const bytes = encodeFrame('AUTH', 0, new TextEncoder().encode('abc'))
    const chunks = [...bytes].map((byte) => Uint8Array.of(byte))
    const [frame] = push(...chunks)
    for (const chunk of chunks) chunk.fill(0)
    bytes.fill(0)
    expect(new TextDecoder().decode(frame?.payload)).toBe('abc')
  })

  test('random bytes end in a coded error or in frames, and never hold more than one frame', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 }), (chunks) => {
        const decoder = createFrameDecoder(() => undefined, 1_000)
        const code = codeOf(() => {
          for (const chunk of chunks) decoder.push(chunk)
        })
        expect(['nothing thrown', 'frame-short', 'frame-oversize', 'frame-type', 'stream-range']).toContain(code)
        expect(decoder.bufferedBytes()).toBeLessThanOrEqual(1_004)
      }),
      { numRuns: 2_000 },
    )
  })

  test('a frame bent in one byte is never taken for what it was not allowed to be', () => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ name, id, payload }, at, flip) => {
        const bytes = encodeFrame(name, streamOf(name, id), payload)
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip
        const taken: Frame[] = []
        codeOf(() => createFrameDecoder((frame) => taken.push(frame)).push(bytes))
        for (const frame of taken) {
          expect(names).toContain(frame.name)
          expect(frame.stream === 0).toBe(FRAME[frame.name] < FRAME.OPEN)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('of a million frames, whole, bent, and cut at random, each is taken as it was sent or ends in a coded error', () => {
    let state = 20_261_126
    // xorshift32: the same frames in every run.
    const random = (below: number): number => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return (state >>> 0) % below
    }
    const whole = 1_000_000
    const codes = new Set<string>()
    let sent = 0
    let taken = 0
    while (sent < whole) {
      const size = 40
      const list = Array.from({ length: size }, () => {
        const name = names[random(names.length)] ?? 'PING'
        return encodeFrame(name, streamOf(name, 1 + random(0x7ffffffe)), new Uint8Array(random(24)).fill(random(256)))
      })
      sent += size
      const bytes = Buffer.concat(list)
      const isBent = random(4) === 0
      if (isBent) for (let flips = 1 + random(3); flips > 0; flips -= 1) bytes[random(bytes.length)] = random(256)
      let isExact = true
      let at = 0
      const decoder = createFrameDecoder((frame) => {
        taken += 1
        const again = encodeFrame(frame.name, frame.stream, frame.payload)
        isExact &&= bytes.subarray(at, at + again.length).equals(again)
        at += again.length
      }, 4_096)
      const code = codeOf(() => {
        for (let from = 0; from < bytes.length; ) {
          const to = from + 1 + random(200)
          decoder.push(bytes.subarray(from, to))
          from = to
        }
      })
      codes.add(code)
      // What is taken is, byte for byte, what was on the wire: nothing is made up, skipped or put in another order.
      if (!isExact || (!isBent && (code !== 'nothing thrown' || at !== bytes.length)) || decoder.bufferedBytes() > 4_100)
        throw new Error(`after ${sent} frames: ${code}`)
    }
    expect(taken).toBeGreaterThan(whole / 2)
    expect([...codes].sort()).toEqual(['frame-oversize', 'frame-short', 'frame-type', 'nothing thrown', 'stream-range'])
  })

  test('what is illegal has its code as soon as the header is there', () => {
    expect(codeOf(() => push(header(4, FRAME.PING, 0)))).toBe('frame-short')
    expect(codeOf(() => push(header(0, FRAME.PING, 0)))).toBe('frame-short')
    expect(codeOf(() => push(header(0xffffffff, FRAME.DATA, 1)))).toBe('frame-oversize')
    expect(codeOf(() => push(header(FRAME_BYTES_MAX + 1, FRAME.DATA, 1)))).toBe('frame-oversize')
    expect(codeOf(() => push(header(5, 0, 0)))).toBe('frame-type')
    expect(codeOf(() => push(header(5, 0x22, 1)))).toBe('frame-type')
    expect(codeOf(() => push(header(20, FRAME.DATA, 0)))).toBe('stream-range')
    expect(codeOf(() => push(header(20, FRAME.PING, 1)))).toBe('stream-range')
    expect(codeOf(() => push(header(20, FRAME.DATA, 0x80000000)))).toBe('stream-range')
    expect(codeOf(() => push(header(FRAME_BYTES_MAX, FRAME.DATA, 1)))).toBe('nothing thrown')
  })

  test('a smaller bound holds until it is raised', () => {
    const decoder = createFrameDecoder(() => undefined, 100)
    expect(codeOf(() => decoder.push(header(101, FRAME.AUTH, 0)))).toBe('frame-oversize')
    const raised = createFrameDecoder(() => undefined, 100)
    raised.setFrameBytesMax(101)
    expect(codeOf(() => raised.push(header(101, FRAME.AUTH, 0)))).toBe('nothing thrown')
  })

  test('a header that promises a megabyte allocates nothing like it', () => {
    const decoders = Array.from({ length: 200 }, () => createFrameDecoder(() => undefined))
    const before = process.memoryUsage().arrayBuffers
    for (const decoder of decoders) decoder.push(header(FRAME_BYTES_MAX, FRAME.DATA, 1))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
    expect(decoders.every((decoder) => decoder.bufferedBytes() === 9)).toBe(true)
  })

  test('an encoder does not make what a decoder must refuse', () => {
    expect(codeOf(() => encodeFrame('DATA', 0))).toBe('stream-range')
    expect(codeOf(() => encodeFrame('PING', 1))).toBe('stream-range')
    expect(codeOf(() => encodeFrame('DATA', 1.5))).toBe('stream-range')
    expect(codeOf(() => encodeFrame('DATA', 1, new Uint8Array(FRAME_BYTES_MAX)))).toBe('frame-oversize')
  })
})

describe('data with offsets', () => {
  test('offset and bytes survive, up to the largest safe integer', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.uint8Array({ minLength: 1, maxLength: 100 }), (offset, bytes) => {
        fc.pre(Number.isSafeInteger(offset + bytes.length))
        const [frame] = push(encodeData('EXTDATA', 7, { offset, bytes }))
        const chunk = decodeData(frame!.payload)
        expect([chunk.offset, Buffer.from(chunk.bytes).toString('hex')]).toEqual([offset, Buffer.from(bytes).toString('hex')])
      }),
    )
  })

  test('offsets beyond it, nothing, and too much are refused', () => {
    expect(codeOf(() => decodeData(new Uint8Array(7)))).toBe('frame-payload')
    expect(codeOf(() => decodeData(new Uint8Array(8)))).toBe('frame-payload')
    expect(codeOf(() => decodeData(new Uint8Array(9 + DATA_BYTES_MAX)))).toBe('frame-payload')
    expect(codeOf(() => decodeData(new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 1])))).toBe('offset-range')
    expect(codeOf(() => decodeData(new Uint8Array([0, 0x1f, 255, 255, 255, 255, 255, 255, 1])))).toBe('offset-range')
    expect(codeOf(() => encodeData('DATA', 1, { offset: -1, bytes: Uint8Array.of(1) }))).toBe('offset-range')
    expect(codeOf(() => encodeData('DATA', 1, { offset: 0.5, bytes: Uint8Array.of(1) }))).toBe('offset-range')
    expect(codeOf(() => encodeData('DATA', 1, { offset: 0, bytes: new Uint8Array() }))).toBe('frame-payload')
  })
})

describe('control payloads', () => {
  const decode = (name: ControlName, text: string | Uint8Array) =>
    codeOf(() => decodeControl(name, typeof text === 'string' ? new TextEncoder().encode(text) : text))

  test('a body survives encoding', () => {
    const [frame] = push(encodeControl('RESIZE', 3, { cols: 80, rows: 24 }))
    expect(decodeControl('RESIZE', frame!.payload)).toEqual({ cols: 80, rows: 24 })
  })

  test('whatever is not exactly the schema is refused', () => {
    const bad = [
      '',
      '{',
      'null',
      '[]',
      '{}',
      '{"bytes":0}',
      '{"bytes":-1}',
      '{"bytes":1.5}',
      '{"bytes":4194305}',
      '{"bytes":"1"}',
      '{"bytes":1,"more":1}',
      '{"bytes":1e400}',
    ]
    expect(bad.map((text) => decode('CREDIT', text))).toEqual(bad.map(() => 'frame-payload'))
    expect(decode('CREDIT', Uint8Array.of(0xff, 0xfe))).toBe('frame-payload')
    expect(decode('CREDIT', `{"bytes":1${' '.repeat(CONTROL_BYTES_MAX)}}`)).toBe('frame-payload')
    expect(decode('CREDIT', '['.repeat(CONTROL_BYTES_MAX))).toBe('frame-payload')
    expect(decode('CREDIT', '{"bytes":1,"__proto__":{"polluted":1}}')).toBe('frame-payload')
    expect(decode('CREDIT', '{"bytes":1}')).toBe('nothing thrown')
  })

  test('arbitrary JSON never throws anything but a coded error', () => {
    fc.assert(
      fc.property(fc.constantFrom(...(Object.keys(CONTROL) as ControlName[])), fc.json(), (name, text) => {
        expect(['frame-payload', 'nothing thrown']).toContain(decode(name, text))
      }),
      { numRuns: 1_000 },
    )
  })

  test('a traceparent is of version 00 and not zero', () => {
    const open = (traceparent: string) => decode('HELLO', JSON.stringify({ version: 1, nonce: 'n'.repeat(43), traceparent }))
    expect(open('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')).toBe('nothing thrown')
    expect(open('00-00000000000000000000000000000000-00f067aa0ba902b7-01')).toBe('frame-payload')
    expect(open('ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')).toBe('frame-payload')
  })
})

describe('what a grant may ask', () => {
  const base = {
    kind: 'exec',
    host: 'a.example',
    port: 22,
    username: 'u',
    pins: [],
    env: {},
    command: 'true',
    timeoutSeconds: 1,
    detachSeconds: 0,
  }
  const isFine = (more: object) => GrantRequest.safeParse({ ...base, ...more }).success

  test('commands without NUL and lone surrogates, within their length', () => {
    expect(isFine({ command: 'echo "😀"\n; rm -rf $(x)' })).toBe(true)
    expect([{ command: '' }, { command: 'a\0b' }, { command: 'a\ud800' }, { command: 'x'.repeat(32_769) }].map(isFine)).toEqual([
      false,
      false,
      false,
      false,
    ])
  })

  test('variables that cannot change what runs', () => {
    expect(isFine({ env: { LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC', PARVIS_X: '1' } })).toBe(true)
    const refused = [{ LD_PRELOAD: 'x' }, { PATH: 'x' }, { BASH_ENV: 'x' }, { ENV: 'x' }, { LANG: 'a\nb' }, { LANG: '' }]
    expect(refused.map((env) => isFine({ env }))).toEqual(refused.map(() => false))
    expect(isFine({ env: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`PARVIS_${i}`, '1'])) })).toBe(false)
  })

  test('user names and hosts without control characters, separators or zones', () => {
    expect(isFine({ username: 'first.last@corp' })).toBe(true)
    expect(['', 'a\nb', 'a\u0000', 'a\u007f', 'u'.repeat(129)].map((username) => isFine({ username }))).toEqual([
      false,
      false,
      false,
      false,
      false,
    ])
    const hosts = ['', 'a b', 'a|b', 'fe80::1%eth0', '[::1]', 'a/b', 'a@b', 'host.', '.host', '-host', 'h'.repeat(254), 'a\nb']
    expect(hosts.filter((host) => TargetHost.safeParse(host).success)).toEqual([])
    expect(
      ['a', 'a.b-c.example', '10.0.0.1', '::1', '2001:db8::1', 'xn--caf-dma.example'].filter((host) => !TargetHost.safeParse(host).success),
    ).toEqual([])
  })
})
