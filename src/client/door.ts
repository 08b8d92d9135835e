import type { Ticket } from '../contract/identity.ts'
import { Problem } from '../contract/problem.ts'
import type { SocketConstructor } from './connection.ts'
import { fillPath } from './exchange.ts'
import type { Credential, Credentials } from './session.ts'

/** The name our sockets speak; browsers insist that the service picks one of the subprotocols they offered. */
const SUBPROTOCOL = 'parvis'

/** How to get through the WebSocket door of one thing. */
export interface Door {
  readonly Socket: SocketConstructor
  readonly url: string
  /** Subprotocols with a fresh credential. `isRefused` says that the one before was. */
  readonly offer: (isRefused: boolean) => Promise<string[]>
  /** A fresh credential for a socket that is open; nothing where none can be had. */
  readonly credential: () => Promise<string | undefined>
  /** Asks by HTTP why an upgrade failed, since a browser hides its status: rejects with the problem if there is one. */
  readonly explain: () => Promise<unknown>
  /** The service said that the session behind the credential is over. */
  readonly noteSessionEnd: () => void
  /** Calls back when nobody is signed in any more. The returned function ends it. */
  readonly onSignedOut: (left: () => void) => () => void
}

/** What doors need of their client. */
export interface DoorParts {
  readonly origin: string
  readonly session: Credentials
  readonly Socket: SocketConstructor
  readonly onSignedOut: Door['onSignedOut']
}

/** One thing behind a door. */
export interface DoorTarget {
  /** Path template of the socket, as in the contract. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>> | undefined
  /** Gets a ticket where no bearer token is to be shown. */
  readonly takeTicket: (() => Promise<Ticket>) | undefined
  readonly explain: Door['explain']
}

/** A door, with the credentials of a client. */
export function createDoor({ origin, session, Socket, onSignedOut }: DoorParts, target: DoorTarget): Door {
  const { path, params, query, takeTicket, explain } = target
  const url = new URL(fillPath(path, params), origin)
  url.search = new URLSearchParams(query).toString()
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:'
  let used: Credential | undefined
  return {
    Socket,
    url: url.href,
    explain,
    onSignedOut,
    async offer(isRefused) {
      used = isRefused && !takeTicket ? await session.renew(used) : await session.current()
      if (takeTicket) return [SUBPROTOCOL, `ticket.${(await takeTicket()).ticket}`]
      if (used?.accessToken === undefined) throw new Problem('unauthenticated')
      return [SUBPROTOCOL, `bearer.${used.accessToken}`]
    },
    async credential() {
      if (takeTicket) return (await takeTicket()).ticket
      used = await session.current()
      return used?.accessToken
    },
    noteSessionEnd: () => void session.drop(used?.sessionId, 'session-ended').catch(() => undefined),
  }
}
