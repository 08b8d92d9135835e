import type { Endpoint } from '../contract/endpoint.ts'
import { PAGE_ITEMS_MAX } from '../contract/id.ts'
import type { TokenMode } from '../contract/identity.ts'
import { endpoints, sockets } from '../contract/registry.ts'
import type { Api, CallOptions, Input } from './api.ts'
import type { Caller } from './call.ts'
import type { SocketConstructor } from './connection.ts'
import { createDoor, type Door, type DoorTarget } from './door.ts'
import type { Listener } from './emitter.ts'
import { connectInbox, type Inbox, type InboxOptions } from './inbox.ts'
import type { JoinOptions, Room, RoomParts } from './room.ts'
import type { Credentials } from './session.ts'
import { type AttachOptions, attachShell, type ShellView } from './shell.ts'
import type { SocketStatus } from './socket.ts'

/** Rooms, live. */
export interface Rooms {
  /**
   * Joins a room; the connection is made and kept in the background, so this neither waits for the network nor fails by it.
   *
   * @throws TypeError when the platform has no WebSocket
   */
  readonly join: (roomId: string, options?: JoinOptions) => Promise<Room>
}

/** Notifications, live. */
export interface Inboxes {
  /**
   * Connects to the inbox of whoever is signed in; the connection is made and kept in the background.
   *
   * @throws TypeError when the platform has no WebSocket
   */
  readonly connect: (options?: InboxOptions) => Inbox
}

/** Shells, live. */
export interface Shells {
  /** Watches a shell, and types into it if you opened it. @throws TypeError when the platform has no WebSocket */
  readonly attach: (shellId: string, options: AttachOptions) => ShellView
  /** Opens a shell and attaches to it. Rejects as `openShell` does. */
  readonly open: (input: Input<typeof endpoints.openShell>, options: AttachOptions & CallOptions) => Promise<ShellView>
}

/** What live things need of their client. */
export interface LiveParts {
  readonly origin: string
  readonly mode: TokenMode
  readonly credentials: Credentials
  readonly call: Caller
  readonly Socket: SocketConstructor | undefined
  readonly onSignedOut: Door['onSignedOut']
  /** An API key may be allowed a look and not the door: then only asking for a ticket tells why it stays shut. */
  readonly hasScopes: boolean
  /** What closes each open room, inbox and shell. */
  readonly open: Set<() => void>
}

function doorOf(parts: LiveParts, target: DoorTarget): Door {
  const { origin, credentials, Socket, onSignedOut } = parts
  if (!Socket) throw new TypeError('This platform has no WebSocket: give one to createClient.')
  return createDoor({ origin, session: credentials, Socket, onSignedOut }, target)
}

/** Keeps a live thing until it is over. */
function track<T extends { readonly close: () => void }>(
  { open }: LiveParts,
  live: T,
  onStatus: (listener: Listener<SocketStatus>) => void,
): T {
  open.add(live.close)
  onStatus((status) => status === 'closed' && open.delete(live.close))
  return live
}

/** What a room reads by HTTP. */
function readsOf({ call }: LiveParts, params: { readonly roomId: string }): Pick<RoomParts, 'readBefore' | 'membersAmong'> {
  return {
    readBefore: ({ epoch, seq }, limit) =>
      call(endpoints.listRoomMessages, { params, query: { before: `${epoch}.${seq}`, limit } }) as ReturnType<Api['listRoomMessages']>,
    async membersAmong(userIds) {
      const query = { userIds: userIds.join(','), limit: PAGE_ITEMS_MAX }
      return (await (call(endpoints.listRoomMembers, { params, query }) as ReturnType<Api['listRoomMembers']>)).items
    },
  }
}

/** Makes the way to rooms. */
export function createRooms(parts: LiveParts): Rooms {
  const ask = (endpoint: Endpoint, params: { readonly roomId: string }) => parts.call(endpoint, { params }, { tries: 1 })
  return {
    async join(id, options = {}) {
      const params = { roomId: id }
      const hasTicket = options.ticket ?? parts.mode === 'cookie'
      const door = doorOf(parts, {
        path: sockets.joinRoomLive.path,
        params,
        query: options.incognito ? { incognito: '1' } : undefined,
        takeTicket: hasTicket ? () => ask(endpoints.createRoomTicket, params) as ReturnType<Api['createRoomTicket']> : undefined,
        explain: () => ask(parts.hasScopes ? endpoints.createRoomTicket : endpoints.getRoom, params),
      })
      // Loaded when first needed: those who join no room do not carry Yjs.
      const { joinRoom } = await import('./room.ts')
      const room = joinRoom(id, { door, ...readsOf(parts, params) }, options)
      return track(parts, room, (listener) => room.on('status', listener))
    },
  }
}

/** Makes the way to the inbox. */
export function createInboxes(parts: LiveParts): Inboxes {
  const { call, credentials, mode } = parts
  return {
    connect({ since, ticket, presence } = {}) {
      const hasTicket = ticket ?? mode === 'cookie'
      const door = doorOf(parts, {
        path: sockets.joinInbox.path,
        params: {},
        takeTicket: hasTicket
          ? () => call(endpoints.createInboxTicket, {}, { tries: 1 }) as ReturnType<Api['createInboxTicket']>
          : undefined,
        explain: () => call(endpoints.getUnread, {}, { tries: 1 }),
      })
      const inbox = connectInbox({
        door,
        since,
        presence,
        accessToken: async () => (await credentials.current())?.accessToken,
        readUpTo: (upTo) => call(endpoints.readNotifications, { body: { upTo } }, {}),
      })
      return track(parts, inbox, (listener) => inbox.on('status', listener))
    },
  }
}

/** Makes the way to shells. */
export function createShells(parts: LiveParts): Shells {
  const ask = (endpoint: Endpoint, params: { readonly shellId: string }) => parts.call(endpoint, { params }, { tries: 1 })
  function attach(id: string, options: AttachOptions): ShellView {
    const params = { shellId: id }
    const hasTicket = options.ticket ?? parts.mode === 'cookie'
    const door = doorOf(parts, {
      path: sockets.viewShell.path,
      params,
      takeTicket: hasTicket ? () => ask(endpoints.createShellTicket, params) as ReturnType<Api['createShellTicket']> : undefined,
      explain: () => ask(parts.hasScopes ? endpoints.createShellTicket : endpoints.getShell, params),
    })
    const view = attachShell(id, { ...options, door, closeShell: () => ask(endpoints.closeShell, params) })
    return track(parts, view, (listener) => view.on('status', listener))
  }
  return {
    attach,
    async open(input, { signal, ...options }) {
      const shell = (await parts.call(endpoints.openShell, input, { signal })) as Awaited<ReturnType<Api['openShell']>>
      return attach(shell.id, options)
    },
  }
}
