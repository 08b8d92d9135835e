import type { ControlBody, Pty } from '../contract/krp.ts'

/** Commands (RFC 854). */
const IAC = 255
const DONT = 254
const DO = 253
const WONT = 252
const WILL = 251
const SB = 250
const SE = 240
const NOP = 241
const INTERRUPT = 244
/** Options: ECHO (RFC 857), SUPPRESS-GO-AHEAD (RFC 858), TERMINAL-TYPE (RFC 1091), NAWS (RFC 1073). */
const ECHO = 1
const SUPPRESS_GO_AHEAD = 3
const TERMINAL_TYPE = 24
const WINDOW_SIZE = 31
const TYPE_IS = 0
const TYPE_SEND = 1
const CR = 13
const LF = 10
const NUL = 0

/** What a host may do, and what we do when it asks. */
const OF_HOST: readonly number[] = [ECHO, SUPPRESS_GO_AHEAD]
const OF_TERMINAL: readonly number[] = [SUPPRESS_GO_AHEAD, TERMINAL_TYPE, WINDOW_SIZE]

/** A subnegotiation that a terminal takes part in has a few bytes. */
const SUBNEGOTIATION_BYTES_MAX = 1_024
/** An honest host says some tens of commands when it begins, and few later; whoever says more wants answers or time of us. */
const COMMANDS_BURST_MAX = 1_000
const COMMANDS_PER_SECOND_MAX = 100

/** A host that says commands without end. */
export class TelnetFlood extends Error {
  override readonly name = 'TelnetFlood'
}

/**
 * A terminal's side of Telnet. It never begins: until the host says its first command the bytes are a bare line, as of a console server, and go
 * both ways as they are.
 */
export interface Telnet {
  /** What a chunk shows; answers to commands are sent meanwhile. @throws TelnetFlood */
  receive(chunk: Uint8Array): Uint8Array
  /** What is typed, as it goes out. */
  encode(bytes: Uint8Array): Uint8Array
  resize(size: ControlBody<'RESIZE'>): void
  interrupt(): void
  /** Says nothing, so that what lies between sees that the line is in use. */
  nudge(): void
}

/** What a terminal's side needs. */
export interface TelnetParts {
  readonly pty: Pty
  readonly send: (bytes: Uint8Array) => void
  /** Milliseconds. */
  readonly now?: () => number
}

type Place = 'data' | 'carriage' | 'command' | 'option' | 'sub' | 'sub-command'

interface State extends Required<TelnetParts> {
  size: ControlBody<'RESIZE'>
  /** The host has said a command. */
  isTelnet: boolean
  place: Place
  verb: number
  sub: number[]
  readonly ofHost: Set<number>
  readonly ofTerminal: Set<number>
  commandsLeft: number
  countedAt: number
}

/** A line on which nothing was said yet. */
export function createTelnet(parts: TelnetParts): Telnet {
  const { now = () => performance.now() } = parts
  const state: State = {
    ...parts,
    now,
    size: parts.pty,
    isTelnet: false,
    place: 'data',
    verb: 0,
    sub: [],
    ofHost: new Set(),
    ofTerminal: new Set(),
    commandsLeft: COMMANDS_BURST_MAX,
    countedAt: now(),
  }
  return {
    receive: (chunk) => receive(state, chunk),
    encode: (bytes) => (state.isTelnet ? encode(bytes) : bytes),
    resize(size) {
      state.size = size
      if (state.ofTerminal.has(WINDOW_SIZE)) tellSize(state)
    },
    interrupt() {
      if (state.isTelnet) state.send(Uint8Array.of(IAC, INTERRUPT))
    },
    nudge() {
      if (state.isTelnet) state.send(Uint8Array.of(IAC, NOP))
    },
  }
}

function receive(state: State, chunk: Uint8Array): Uint8Array {
  const isPlain = state.place === 'data' && !chunk.includes(IAC) && !(state.isTelnet && chunk.includes(CR))
  if (isPlain) return chunk
  // A command that turns out to be none shows a byte of the chunk before.
  const shown = new Uint8Array(chunk.length + 1)
  let length = 0
  for (let at = 0; at < chunk.length; at += 1) {
    const plainTo = state.place === 'data' ? plainUntil(state, chunk, at) : at
    shown.set(chunk.subarray(at, plainTo), length)
    length += plainTo - at
    at = plainTo
    if (at === chunk.length) break
    for (const one of take(state, chunk[at] ?? 0)) {
      shown[length] = one
      length += 1
    }
  }
  return shown.subarray(0, length)
}

/** Where the bytes from here on stop to mean themselves. */
function plainUntil({ isTelnet }: State, chunk: Uint8Array, from: number): number {
  let at = from
  while (at < chunk.length && chunk[at] !== IAC && !(isTelnet && chunk[at] === CR)) at += 1
  return at
}

const NOTHING: readonly number[] = []

/** What one byte shows. */
function take(state: State, byte: number): readonly number[] {
  switch (state.place) {
    case 'data':
      return takeData(state, byte)
    case 'carriage':
      state.place = 'data'
      // A bare carriage return travels with a NUL (RFC 854, "The NVT printer and keyboard").
      return byte === NUL ? NOTHING : takeData(state, byte)
    case 'command':
      return takeCommand(state, byte)
    case 'option':
      state.place = 'data'
      negotiate(state, byte)
      return NOTHING
    case 'sub':
      if (byte === IAC) state.place = 'sub-command'
      else keepSub(state, byte)
      return NOTHING
    case 'sub-command':
      endOrEscape(state, byte)
      return NOTHING
  }
}

function takeData(state: State, byte: number): readonly number[] {
  if (byte === IAC) {
    state.place = 'command'
    return NOTHING
  }
  if (byte === CR && state.isTelnet) state.place = 'carriage'
  return [byte]
}

function takeCommand(state: State, byte: number): readonly number[] {
  state.place = 'data'
  if (byte === IAC && state.isTelnet) return [IAC]
  const isNegotiation = byte >= SB && byte <= DONT
  if (!isNegotiation && !state.isTelnet) return [IAC, ...takeData(state, byte)]
  count(state)
  if (!isNegotiation) return NOTHING
  state.isTelnet = true
  state.verb = byte
  state.sub = []
  state.place = byte === SB ? 'sub' : 'option'
  return NOTHING
}

function keepSub(state: State, byte: number): void {
  if (state.sub.length >= SUBNEGOTIATION_BYTES_MAX) throw new TelnetFlood('a subnegotiation without end')
  state.sub.push(byte)
}

function endOrEscape(state: State, byte: number): void {
  if (byte === IAC) {
    state.place = 'sub'
    return keepSub(state, byte)
  }
  state.place = 'data'
  const [option, request] = state.sub
  if (byte !== SE || option !== TERMINAL_TYPE || request !== TYPE_SEND || !state.ofTerminal.has(TERMINAL_TYPE)) return
  const name = new TextEncoder().encode(state.pty.term)
  state.send(Uint8Array.of(IAC, SB, TERMINAL_TYPE, TYPE_IS, ...name, IAC, SE))
}

function count(state: State): void {
  const now = state.now()
  const refill = ((now - state.countedAt) / 1000) * COMMANDS_PER_SECOND_MAX
  state.countedAt = now
  state.commandsLeft = Math.min(COMMANDS_BURST_MAX, state.commandsLeft + refill) - 1
  if (state.commandsLeft < 0) throw new TelnetFlood('commands without end')
}

/** Only a change is answered, or two sides that confirm each other would never end (RFC 854, "General considerations"). */
function negotiate(state: State, option: number): void {
  const { verb } = state
  const isOfHost = verb === WILL || verb === WONT
  const [held, known, yes, no] = isOfHost
    ? ([state.ofHost, OF_HOST, DO, DONT] as const)
    : ([state.ofTerminal, OF_TERMINAL, WILL, WONT] as const)
  if (verb === WILL || verb === DO) {
    if (held.has(option)) return
    if (known.includes(option)) held.add(option)
    state.send(Uint8Array.of(IAC, known.includes(option) ? yes : no, option))
    if (verb === DO && option === WINDOW_SIZE) tellSize(state)
  } else if (held.delete(option)) state.send(Uint8Array.of(IAC, no, option))
}

function tellSize({ send, size }: State): void {
  const bytes = [size.cols >> 8, size.cols & 255, size.rows >> 8, size.rows & 255]
  send(Uint8Array.of(IAC, SB, WINDOW_SIZE, ...bytes.flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte])), IAC, SE))
}

function encode(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(IAC) && !bytes.includes(CR)) return bytes
  const out = new Uint8Array(2 * bytes.length)
  let length = 0
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] ?? NUL
    out[length] = byte
    // A NUL stands there already.
    if (byte === IAC) out[length + 1] = IAC
    length += byte === IAC || (byte === CR && bytes[i + 1] !== LF) ? 2 : 1
  }
  return out.subarray(0, length)
}
