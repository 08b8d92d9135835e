import { connect } from 'cloudflare:sockets'
import { DETACH_SECONDS_DEFAULT } from '../../contract/krp.ts'
import type { RelayConfig } from '../platform/relays.ts'
import { relayUnavailable } from './policy.ts'

/** A connection that takes bytes already: they leave as soon as it is open. */
export interface Dialled {
  readonly socket: Socket
  /** @throws Problem `unavailable` */
  readonly opened: Promise<void>
}

/** How bytes reach the relay; the same frames go over every transport. */
export interface RelayDialer {
  /** @throws Problem `unavailable` */
  readonly dial: (withinMs: number) => Promise<Dialled>
  /** The shell is over: what was started for it alone may stop. */
  readonly release: () => Promise<void>
}

/** What a Durable Object offers when a container is bound to its class. */
export type ContainerPort = Pick<Container, 'running' | 'start' | 'getTcpPort' | 'setInactivityTimeout' | 'destroy'>

type ContainerTransport = Extract<RelayConfig['transport'], { readonly kind: 'container' }>

/** A container needs a moment from start to listening. */
const CONTAINER_READY_MS = 20_000
const CONTAINER_TRY_MS = 1_000
const CONTAINER_PAUSE_MS = 250
/** The container outlives a hibernating object as long as a shell may wait for its viewer. */
const CONTAINER_IDLE_MS = (DETACH_SECONDS_DEFAULT + 60) * 1000

const LOOPBACK = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/

/** The transport that configuration names. @throws Problem `unavailable` when it names one that is not bound */
export function relayDialer(relay: RelayConfig, container: ContainerPort | undefined): RelayDialer {
  const { transport } = relay
  if (transport.kind === 'tcp') return tcpDialer(transport)
  if (!container) throw relayUnavailable('No container is bound for the relay.')
  return containerDialer(transport, container)
}

/** TLS by the platform's trust, except to this very machine, where nobody listens in and no certificate exists. */
const tcpDialer = ({ host, port }: { readonly host: string; readonly port: number }): RelayDialer => ({
  async dial(withinMs) {
    const socket = start(() =>
      connect({ hostname: host, port }, { secureTransport: LOOPBACK.test(host) ? 'off' : 'on', allowHalfOpen: false }),
    )
    return { socket, opened: opened(socket, withinMs) }
  },
  release: async () => undefined,
})

function containerDialer({ port, env }: ContainerTransport, container: ContainerPort): RelayDialer {
  return {
    async dial(withinMs) {
      const isFresh = !container.running
      if (isFresh) {
        container.start({ enableInternet: true, env: { ...env } })
        await container.setInactivityTimeout(CONTAINER_IDLE_MS)
      }
      const deadlineAt = Date.now() + (isFresh ? Math.max(withinMs, CONTAINER_READY_MS) : withinMs)
      for (;;) {
        try {
          const socket = start(() => container.getTcpPort(port).connect({ hostname: 'relay', port }))
          await opened(socket, CONTAINER_TRY_MS)
          return { socket, opened: Promise.resolve() }
        } catch (error) {
          if (Date.now() + CONTAINER_PAUSE_MS >= deadlineAt) throw error
          await pause(CONTAINER_PAUSE_MS)
        }
      }
    },
    async release() {
      if (container.running) await container.destroy()
    },
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const unreachable = (cause: unknown) => relayUnavailable('The relay cannot be reached.', cause)

function start(connecting: () => Socket): Socket {
  try {
    const socket = connecting()
    // Both also reject when the socket fails later, which its reader reports.
    socket.closed.catch(() => undefined)
    socket.opened.catch(() => undefined)
    return socket
  } catch (cause) {
    throw unreachable(cause)
  }
}

/** A deadline of our own: TLS towards a peer that speaks none never settles. */
async function opened(socket: Socket, withinMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | null = null
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(relayUnavailable('The relay did not answer in time.')), withinMs)
  })
  try {
    await Promise.race([socket.opened, late])
  } catch (cause) {
    socket.close().catch(() => undefined)
    throw unreachable(cause)
  } finally {
    clearTimeout(timer)
  }
}
