import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Counts since the relay started. Labels are our own words: no name of an organisation, a host or a person is among them. */
export interface Metrics {
  /** An OPEN was answered: `opened`, `scanned`, or the code of its refusal. */
  opened(outcome: string): void
  /** A program or a transfer began on a connection that was made for it, or on one that was kept. */
  connected(how: 'made' | 'kept'): void
  /** A link ended, in our words or with the dialer's code. */
  linkEnded(reason: string): void
  /** The text that Prometheus reads (exposition format 0.0.4). */
  text(gauges: Gauges): string
  stop(): void
}

/** What stands now. */
export interface Gauges {
  readonly isReady: boolean
  readonly isDraining: boolean
  readonly links: number
  readonly strangers: number
  readonly shells: number
  readonly kept: number
}

const NANOSECONDS = 1e9

/** Metrics of a relay that starts. */
export function createMetrics(): Metrics {
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  const openings = new Map<string, number>()
  const connections = new Map<string, number>()
  const ends = new Map<string, number>()
  const count = (counts: Map<string, number>, label: string) => void counts.set(label, (counts.get(label) ?? 0) + 1)

  return {
    opened: (outcome) => count(openings, outcome),
    connected: (how) => count(connections, how),
    linkEnded: (reason) => count(ends, reason),
    text({ isReady, isDraining, links, strangers, shells, kept }) {
      const { rss, heapUsed } = process.memoryUsage()
      return [
        gauge('parvis_relay_ready', 'Whether it takes new shells.', Number(isReady)),
        gauge('parvis_relay_draining', 'Whether it is being drained.', Number(isDraining)),
        gauge('parvis_relay_links', 'Links that proved who they are.', links),
        gauge('parvis_relay_strangers', 'Connections that have not proved who they are.', strangers),
        gauge('parvis_relay_shells', 'Shells, commands and transfers that live.', shells),
        gauge('parvis_relay_connections_kept', 'Connections to hosts that wait for their next command.', kept),
        counter('parvis_relay_openings_total', 'Openings by outcome.', { label: 'outcome', counts: openings }),
        counter('parvis_relay_connections_total', 'Connections that were made or taken again.', { label: 'how', counts: connections }),
        counter('parvis_relay_links_ended_total', 'Links that ended, by reason.', { label: 'reason', counts: ends }),
        gauge('parvis_relay_event_loop_delay_p99_seconds', 'How late the loop is, 99th percentile.', delay.percentile(99) / NANOSECONDS),
        gauge('process_resident_memory_bytes', 'Resident memory.', rss),
        gauge('nodejs_heap_size_used_bytes', 'Heap in use.', heapUsed),
        gauge('process_start_time_seconds', 'When it started, Unix time.', Date.now() / 1000 - process.uptime()),
      ].join('')
    },
    stop: () => void delay.disable(),
  }
}

const head = (name: string, help: string, type: string) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
const gauge = (name: string, help: string, value: number) => `${head(name, help, 'gauge')}${name} ${value}\n`

function counter(
  name: string,
  help: string,
  { label, counts }: { readonly label: string; readonly counts: ReadonlyMap<string, number> },
): string {
  return head(name, help, 'counter') + [...counts].map(([value, n]) => `${name}{${label}="${value}"} ${n}\n`).join('')
}
