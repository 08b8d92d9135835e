import type { Readable, Writable } from 'node:stream'
import type { ControlBody, GrantClaims, GrantRequest } from '../contract/krp.ts'
import type { AskFor } from './attempt.ts'
import type { KeptConnections } from './kept.ts'
import type { Log } from './log.ts'
import type { RouteDeps } from './route.ts'

/** How a program ended, as the host said. */
export type Exit = Pick<ControlBody<'EXIT'>, 'code' | 'signal'>

/** One program or one transfer on a host, whatever is spoken there: all that a shell asks of it. */
export interface HostChannel {
  /** What OPENED tells of it. */
  readonly opened: Omit<ControlBody<'OPENED'>, 'creditBytes'>
  /** Takes input; its end is the end of input. */
  readonly input: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** How it ended, once the host has said it. */
  exit(): Exit | undefined
  /** False from the first sign of the connection's end on. */
  isAlive(): boolean
  /** Calls back once, when nothing more comes: both outputs were read to their end. */
  onClosed(listener: () => void): void
  /** Calls back once, when the host has room for more input: at once, unless it does not read. */
  onRoom(listener: () => void): void
  resize(size: ControlBody<'RESIZE'>): void
  signal(name: ControlBody<'SIGNAL'>['signal']): void
  /** Ends it, and answers whether the host said that it ended. */
  stop(): Promise<'confirmed' | 'unconfirmed'>
  /** Says goodbye, and does not wait long for an answer. */
  leave(): void
  /** Breaks the connection at once. */
  cut(): void
}

/** What may be opened on a host; a scan opens nothing. */
export type ChannelRequest = Exclude<GrantRequest, { kind: 'scan' }>

/** One grant on its way to a channel. */
export interface Granted<R extends ChannelRequest = ChannelRequest> {
  readonly claims: GrantClaims
  readonly request: R
  readonly secrets: Pick<ControlBody<'OPEN'>, 'credential' | 'jumpCredentials'>
  readonly ask: AskFor
  readonly log: Log
  /** Aborted when the dialer closes the stream or the link dies. */
  readonly signal: AbortSignal
}

/** What a driver needs of the relay. */
export interface DriverDeps extends RouteDeps {
  readonly kept: KeptConnections
  /** A program or a transfer began on a connection of its own, or on one that was kept. */
  readonly noteConnection: (how: 'made' | 'kept') => void
}

/**
 * A way to speak to hosts: goes there, and opens what the grant says. `take` is called in the same turn in which the channel opens, because its
 * first events, even its exit, may come in the next.
 *
 * @throws Refusal
 */
export type Driver<R extends ChannelRequest> = <S>(granted: Granted<R>, deps: DriverDeps, take: (channel: HostChannel) => S) => Promise<S>
