import { type WebSocket, WebSocketServer } from 'ws'
import {
  decodeViewChunk,
  encodeViewChunk,
  type ShellFrame,
  VIEW_INPUT_BYTES_MAX,
  VIEW_INPUT_WINDOW_BYTES,
  VIEW_WINDOW_BYTES,
  ViewerFrame,
  type ViewerRole,
} from '../../src/contract/viewer.ts'
import type { Service } from './service.ts'

/** Numbers in [0, 1) that repeat for a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Viewer {
  readonly socket: WebSocket
  clientId: string
  /** Offset after the last byte sent, and acknowledged. */
  sentTo: number
  ackedTo: number
}

/** A shell that speaks the viewer's contract over the service: output that is kept, input that is recorded once, sockets to cut. */
export function startShell(service: Service) {
  const server = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (offered.has('parvis') ? 'parvis' : false) })
  const viewers = new Set<Viewer>()
  const breaches: string[] = []
  const frames: ViewerFrame[] = []
  const offers: string[][] = []
  const attaches: number[] = []
  const state = { role: 'opener' as ViewerRole, firstOffset: 0, isAccepting: true, pings: 0, columns: 80, rows: 24, ended: false }
  let output = Buffer.alloc(0)
  /** What the remote side got, and up to where input was accepted, by client. */
  const inputs = new Map<string, { bytes: Buffer; accepted: number }>()

  const say = (viewer: Viewer, frame: ShellFrame) => viewer.socket.send(JSON.stringify(frame))
  const inputOf = (clientId: string) => {
    const known = inputs.get(clientId) ?? { bytes: Buffer.alloc(0), accepted: 0 }
    inputs.set(clientId, known)
    return known
  }

  function pump(viewer: Viewer): void {
    while (viewer.sentTo < output.length && viewer.sentTo - viewer.ackedTo < VIEW_WINDOW_BYTES) {
      const to = Math.min(output.length, viewer.sentTo + 4096, viewer.ackedTo + VIEW_WINDOW_BYTES)
      viewer.socket.send(encodeViewChunk({ offset: viewer.sentTo, bytes: output.subarray(viewer.sentTo, to) }))
      viewer.sentTo = to
    }
    if (state.ended && viewer.sentTo === output.length) end(viewer)
  }

  function end(viewer: Viewer): void {
    viewers.delete(viewer)
    say(viewer, { type: 'exit', exitCode: 7, signal: null })
    say(viewer, { type: 'state', state: 'closed', reason: 'the program ended' })
    viewer.socket.close(1000)
  }

  function attach(viewer: Viewer, frame: Extract<ViewerFrame, { type: 'attach' }>): void {
    const since = frame.since ?? state.firstOffset
    attaches.push(since)
    viewer.clientId = frame.clientId ?? ''
    viewer.sentTo = Math.min(Math.max(since, state.firstOffset), output.length)
    viewer.ackedTo = viewer.sentTo
    const { columns, rows, firstOffset } = state
    say(viewer, {
      type: 'hello',
      role: state.role,
      columns,
      rows,
      firstOffset,
      nextOffset: output.length,
      inputOffset: inputOf(viewer.clientId).accepted,
      state: state.ended ? 'closed' : 'open',
    })
    if (since < firstOffset) say(viewer, { type: 'gap', from: since, to: firstOffset })
    viewers.add(viewer)
    pump(viewer)
  }

  function hearFrame(viewer: Viewer, text: string): void {
    if (text === 'ping') {
      state.pings++
      return viewer.socket.send('pong')
    }
    const frame = ViewerFrame.parse(JSON.parse(text))
    frames.push(frame)
    if (frame.type === 'attach') return attach(viewer, frame)
    if (frame.type === 'ack') {
      if (frame.offset > viewer.sentTo || frame.offset < viewer.ackedTo) breaches.push(`ack ${frame.offset}`)
      viewer.ackedTo = frame.offset
      return pump(viewer)
    }
    if (frame.type === 'answer') return void breaches.push(`answer ${frame.id}`)
    if (frame.type === 'lock' || frame.type === 'here') return void breaches.push(frame.type)
    Object.assign(state, { columns: frame.columns, rows: frame.rows })
    say(viewer, { type: 'resized', columns: frame.columns, rows: frame.rows })
  }

  function hearInput(viewer: Viewer, message: ArrayBuffer): void {
    const chunk = decodeViewChunk(message)
    if (!chunk) return void breaches.push('malformed input')
    if (state.role === 'watcher') return say(viewer, { type: 'refused', what: 'input' })
    const input = inputOf(viewer.clientId)
    const { offset, bytes } = chunk
    if (bytes.length > VIEW_INPUT_BYTES_MAX) breaches.push('input message too long')
    if (offset + bytes.length - input.accepted > VIEW_INPUT_WINDOW_BYTES) breaches.push('input window')
    // On its way when what came before it was forgotten: it will be sent again.
    if (offset > input.bytes.length) return
    // Takes what is new and drops what it already has.
    input.bytes = Buffer.concat([input.bytes, bytes.subarray(input.bytes.length - offset)])
    if (state.isAccepting) accept(viewer)
  }

  function accept(viewer: Viewer): void {
    const input = inputOf(viewer.clientId)
    input.accepted = input.bytes.length
    say(viewer, { type: 'accepted', inputOffset: input.accepted })
  }

  service.onUpgrade((request, raw, head) => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((p) => p.trim())
    offers.push(offered)
    try {
      service.admit(offered)
    } catch {
      return void raw.end('HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n')
    }
    server.handleUpgrade(request, raw, head, (socket) => {
      const viewer: Viewer = { socket, clientId: '', sentTo: 0, ackedTo: 0 }
      socket.binaryType = 'arraybuffer'
      socket.on('message', (data, isBinary) =>
        isBinary ? hearInput(viewer, data as ArrayBuffer) : hearFrame(viewer, Buffer.from(data as ArrayBuffer).toString()),
      )
      socket.on('close', () => viewers.delete(viewer))
      socket.on('error', () => undefined)
    })
  })

  return {
    viewers,
    breaches,
    frames,
    offers,
    attaches,
    state,
    output: () => output,
    /** What the remote side got from the only viewer. */
    typed: () => [...inputs.values()][0]?.bytes ?? Buffer.alloc(0),
    /** Forgets the last bytes printed, as a store does that was not on disk yet, and answers them. */
    forgetOutput(bytes: number) {
      const lost = output.subarray(output.length - bytes)
      output = output.subarray(0, output.length - bytes)
      return lost
    },
    /** What the remote side got, input by input. */
    allTyped: () => [...inputs.values()].map(({ bytes }) => bytes.toString()),
    print(bytes: Uint8Array | string) {
      output = Buffer.concat([output, typeof bytes === 'string' ? Buffer.from(bytes) : bytes])
      for (const viewer of viewers) pump(viewer)
    },
    /** Says a frame to every viewer. */
    say: (frame: ShellFrame | { type: string }) => [...viewers].map((viewer) => say(viewer, frame as ShellFrame)),
    send: (data: Uint8Array | string) => [...viewers].map(({ socket }) => socket.send(data)),
    acceptAll: () => [...viewers].map(accept),
    /** Forgets input that was heard but not accepted, as when the object behind the socket is replaced. */
    forgetInput() {
      for (const viewer of viewers) {
        const input = inputOf(viewer.clientId)
        input.bytes = input.bytes.subarray(0, input.accepted)
        say(viewer, { type: 'resend', inputOffset: input.accepted })
      }
    },
    end() {
      state.ended = true
      for (const viewer of viewers) pump(viewer)
    },
    cut: () => [...viewers].map(({ socket }) => socket.terminate()),
    close: (code: number, reason: string) => [...viewers].map(({ socket }) => socket.close(code, reason)),
    stop: () => [...server.clients, ...[...viewers].map((v) => v.socket)].map((socket) => socket.terminate()),
  }
}

/** A running {@link startShell}. */
export type ShellPeer = ReturnType<typeof startShell>
