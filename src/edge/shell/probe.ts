import type { Probe } from '../http/feature.ts'
import type { Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { askStanding } from './reach.ts'
import { countFaulty } from './secret-store.ts'

type Relay = Scope['config']['relays'][number]

/** Every configured relay greets by its name. One in a container is started per shell, so there is none to ask. */
export const relayProbe: Probe = {
  isHard: false,
  async check(scope) {
    const { relays } = scope.config
    if (relays.length === 0) return { ok: false, detail: 'not configured' }
    const answers = await Promise.all(relays.map((relay) => describeRelay(scope, relay)))
    return { ok: answers.every(({ ok }) => ok), detail: answers.map(({ detail }) => detail).join(', ') }
  },
}

async function describeRelay({ log, trace }: Scope, relay: Relay): Promise<{ readonly ok: boolean; readonly detail: string }> {
  if (relay.transport.kind === 'container') return { ok: true, detail: 'one container per shell' }
  try {
    const { isDraining } = await askStanding(relay, { ctx: {}, log, traceparent: traceparentOf(trace) })
    return { ok: true, detail: isDraining || relay.isDraining ? `${relay.id} drains` : relay.id }
  } catch {
    return { ok: false, detail: `${relay.id} does not answer` }
  }
}

/** Stored secrets that no listed root secret opens: somebody took one off the list too early. */
export const secretsProbe: Probe = {
  isHard: false,
  async check({ db }) {
    const [row] = await countFaulty(db)
    const faulty = row?.faulty ?? 0
    return { ok: faulty === 0, detail: `${faulty} cannot be opened` }
  },
}
