import type { Probe } from '../http/feature.ts'
import { relayDialer } from './dialer.ts'
import { greetRelay } from './link.ts'

/** Health waits two seconds for everything. */
const PROBE_MS = 1_500

/** The configured relay greets by its name. A relay in a container is started per shell, so there is none to ask. */
export const relayProbe: Probe = {
  isHard: false,
  async check({ config: { relay }, log, trace }) {
    if (!relay) return { ok: false, detail: 'not configured' }
    if (relay.transport.kind === 'container') return { ok: true, detail: 'one container per shell' }
    const socket = await relayDialer(relay, undefined).dial(PROBE_MS)
    await greetRelay({ socket, relay, log, traceparent: `00-${trace.traceId}-${trace.spanId}-01`, withinMs: PROBE_MS })
    return { ok: true, detail: relay.id }
  },
}
