import { createServer as createNetServer, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import ipaddr from 'ipaddr.js'
import { createTargetBudget } from './budget.ts'
import type { RelayConfig } from './config.ts'
import { createResolver } from './egress.ts'
import { createHealthServer } from './health.ts'
import { type KeptConnections, keepConnections } from './kept.ts'
import { endLink, type Link, type LinkDeps, sendGoAway, startLink } from './link.ts'
import type { Log } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createRegistry, type Registry } from './registry.ts'
import { stopShell } from './shell.ts'
import { checkSsh2 } from './ssh-internals.ts'
import { createReplayCache } from './tokens.ts'

/** A running relay. */
export interface Relay {
  readonly port: number
  readonly healthPort: number
  /** Lets shells end for `drainSeconds`, then ends them; resolves when all is closed. */
  drain(): Promise<void>
  /** Closes at once. */
  close(): Promise<void>
}

interface State {
  readonly config: RelayConfig
  readonly log: Log
  readonly registry: Registry
  readonly kept: KeptConnections
  readonly links: Set<Link>
  /** Connections without READY, by remote address. */
  readonly strangers: Map<string, number>
  isDraining: boolean
  readonly metrics: Metrics
}

/** How often a drain looks whether the last shell has ended. */
const DRAIN_POLL_MS = 100
/** Connections without READY in all. When more come the oldest goes: an honest dialer is READY long before it is the oldest. */
const STRANGERS_MAX = 512
/** Time for a stopped program to end: two graces and some. */
const STOP_MS = 6_000

/** Listens for dialers and for health checks. @throws Error when a port is taken, or ssh2 is another than the relay knows */
export async function startRelay(config: RelayConfig, log: Log): Promise<Relay> {
  checkSsh2()
  const state: State = {
    config,
    log,
    registry: createRegistry(config.limits),
    kept: keepConnections(config.limits),
    links: new Set(),
    strangers: new Map(),
    isDraining: false,
    metrics: createMetrics(),
  }
  const deps = createLinkDeps(state)
  const secureContext = config.tls === undefined ? undefined : createSecureContext({ ...config.tls, minVersion: 'TLSv1.2' })
  // Nothing is awaited here: a slow peer delays only itself.
  const server = createNetServer({ noDelay: true, keepAlive: true }, (raw) => acceptLink(state, deps, { raw, secureContext }))
  const health = createHealthServer(
    () => ({
      isReady: !state.isDraining && knownLinks(state) < config.limits.linksMax && state.registry.shellCount() < config.limits.shellsMax,
      isDraining: state.isDraining,
      links: knownLinks(state),
      strangers: strangerCount(state),
      shells: state.registry.shellCount(),
      kept: state.kept.count(),
    }),
    state.metrics,
  )
  const port = await listen(server, { ...config.listen, key: 'RELAY_PORT' })
  const healthPort = await listen(health, { ...config.health, key: 'RELAY_HEALTH_PORT' }).catch((error: unknown) => {
    server.close()
    throw error
  })
  log.info('relay-listening', { host: config.listen.host, port, healthPort, tls: config.tls !== undefined })
  const close = async (): Promise<void> => {
    state.isDraining = true
    for (const link of state.links) endLink(link, 'draining')
    for (const shell of state.registry.shells()) shell.parts.channel.cut()
    state.kept.close()
    await Promise.all([closeServer(server), closeServer(health)])
    state.metrics.stop()
    log.info('relay-closed')
  }
  return { port, healthPort, close, drain: () => drain(state).then(close) }
}

function createLinkDeps(state: State): LinkDeps {
  const { config, log, registry, kept, links } = state
  return {
    config,
    log,
    registry,
    kept,
    trust: { relay: config.id, ...config.dialers },
    replay: createReplayCache(),
    sealing: config.sealing,
    egress: config.egress,
    resolve: createResolver(config.dnsServers, config.limits.connectSeconds),
    budget: createTargetBudget(config.limits.loginFailuresPerMinuteMax),
    connectSeconds: config.limits.connectSeconds,
    detachSecondsMax: config.limits.detachSecondsMax,
    isDraining: () => state.isDraining,
    noteOpening: state.metrics.opened,
    noteConnection: state.metrics.connected,
    standing: () => ({ load: Math.min(1, registry.shellCount() / config.limits.shellsMax), isDraining: state.isDraining }),
    onReady(link) {
      leaveStrangers(state, link)
      if (state.isDraining) sendGoAway(link, config.limits.drainSeconds)
    },
    onClosed(link, reason) {
      state.metrics.linkEnded(reason)
      leaveStrangers(state, link)
      links.delete(link)
    },
  }
}

function acceptLink(state: State, deps: LinkDeps, { raw, secureContext }: { raw: Socket; secureContext: SecureContext | undefined }): void {
  const address = networkOf(raw.remoteAddress ?? '')
  const { linksMax, unauthenticatedPerAddressMax } = state.config.limits
  if (knownLinks(state) >= linksMax || (state.strangers.get(address) ?? 0) >= unauthenticatedPerAddressMax) {
    raw.destroy()
    return
  }
  if (strangerCount(state) >= STRANGERS_MAX) oldestStranger(state)?.socket.destroy()
  raw.on('error', () => undefined)
  const socket = secureContext === undefined ? raw : new TLSSocket(raw, { isServer: true, secureContext })
  const link = startLink(socket, { ...deps, log: state.log.child({ peer: address }) })
  state.links.add(link)
  state.strangers.set(address, (state.strangers.get(address) ?? 0) + 1)
  strangerAddresses.set(link, address)
}

/** Whoever has one IPv6 address has a whole /64 of them. */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address
  const ip = ipaddr.process(address)
  return ip instanceof ipaddr.IPv6
    ? `${ip.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(':')}::/64`
    : ip.toString()
}

const strangerCount = ({ strangers }: State): number => [...strangers.values()].reduce((sum, count) => sum + count, 0)

/** Links that proved who they are: strangers, however many, take no place of theirs. */
const knownLinks = (state: State): number => state.links.size - strangerCount(state)

const oldestStranger = ({ links }: State): Link | undefined => [...links].find((link) => strangerAddresses.has(link))

/** Where each link that is not yet READY came from. */
const strangerAddresses = new WeakMap<Link, string>()

function leaveStrangers({ strangers }: State, link: Link): void {
  const address = strangerAddresses.get(link)
  if (address === undefined) return
  strangerAddresses.delete(link)
  const left = (strangers.get(address) ?? 1) - 1
  if (left === 0) strangers.delete(address)
  else strangers.set(address, left)
}

async function drain(state: State): Promise<void> {
  const { drainSeconds } = state.config.limits
  state.isDraining = true
  state.kept.close()
  state.log.info('relay-draining', { drainSeconds, shells: state.registry.shellCount() })
  for (const link of state.links) sendGoAway(link, drainSeconds)
  await untilNoShells(state.registry, drainSeconds * 1000)
  for (const shell of state.registry.shells()) stopShell(shell, 'draining')
  await untilNoShells(state.registry, STOP_MS)
}

async function untilNoShells(registry: Registry, withinMs: number): Promise<void> {
  const deadlineAt = performance.now() + withinMs
  while (registry.shellCount() > 0 && performance.now() < deadlineAt) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS))
}

interface Listener {
  listen(port: number, host: string, listening: () => void): unknown
  once(event: 'error', listener: (error: Error) => void): unknown
  address(): unknown
  close(closed: () => void): unknown
}

function listen(server: Listener, { host, port, key }: { host: string; port: number; key: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const isTaken = 'code' in error && error.code === 'EADDRINUSE'
      reject(isTaken ? new Error(`Port ${port} on ${host} is in use; set ${key}.`, { cause: error }) : error)
    })
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : port)
    })
  })
}

const closeServer = (server: Listener): Promise<void> => new Promise((resolve) => void server.close(() => resolve()))
