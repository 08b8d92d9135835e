import type { ControlBody } from '../../contract/krp.ts'
import type { Config } from '../platform/config.ts'
import type { Log } from '../platform/log.ts'
import { type RelayConfig, relaysFor } from '../platform/relays.ts'
import { relayDialer } from './dialer.ts'
import { greetRelay, openLink, type RelayLink } from './link.ts'
import { relayUnavailable } from './policy.ts'
import type { DialerIdentity } from './tokens.ts'

/** From nothing to an open socket; a container takes what it needs. */
const DIAL_MS = 5_000
/** A relay that does not greet within this is not asked to open a shell. */
const GREET_MS = 2_000
/** What a relay said of itself is believed for so long. */
const STANDING_MS = 5_000

/** Whence and as whom a relay is dialled. */
export interface Reach {
  readonly ctx: Pick<DurableObjectState, 'container'>
  readonly config: Config
  readonly who: DialerIdentity
  readonly traceparent: string
  readonly log: Log
  /** The relay that has the shell; absent: one is chosen. */
  readonly relayId?: string | undefined
  /** What can be made ready for a relay that is still to prove itself; the last that was greeted is the one that is taken. */
  readonly greeted?: (relay: RelayConfig, challenge: ControlBody<'CHALLENGE'>) => void
}

type Greeting = Omit<Reach, 'who'>
type Standing = Pick<ControlBody<'CHALLENGE'>, 'load' | 'isDraining'>

/** An authenticated link to a relay that takes shells of this organisation, or to the one that has the shell. @throws Problem `unavailable` */
export async function reachRelay(reach: Reach): Promise<{ readonly relay: RelayConfig; readonly link: RelayLink }> {
  const { config, relayId, who } = reach
  if (relayId !== undefined) {
    const relay = config.relays.find(({ id }) => id === relayId)
    if (!relay) throw relayUnavailable('The relay of this shell is not configured any more.')
    return { relay, link: await dial(relay, reach) }
  }
  let failure: unknown
  for (const relay of await chooseRelays(relaysFor(config.relays, who.orgId), reach)) {
    try {
      const link = await dial(relay, reach)
      standings.set(relay, { at: Date.now(), standing: link.challenge })
      if (!link.challenge.isDraining) return { relay, link }
      // What it said before is old; a dialer with a choice goes elsewhere.
      link.close('draining')
    } catch (error) {
      failure = error
    }
  }
  throw failure ?? relayUnavailable(config.relays.length === 0 ? 'No relay is configured.' : 'Every relay is being drained.')
}

async function dial(relay: RelayConfig, { ctx, who, traceparent, log, greeted }: Reach): Promise<RelayLink> {
  const dialled = await relayDialer(relay, ctx.container).dial(DIAL_MS)
  return openLink({ ...dialled, relay, who, traceparent, log, greeted: (challenge) => greeted?.(relay, challenge) })
}

/** The least loaded first, then those that do not answer, then those that drain: a word on that is seconds old, and the link brings the new one. */
async function chooseRelays(relays: readonly RelayConfig[], greeting: Greeting): Promise<readonly RelayConfig[]> {
  if (relays.length < 2) return relays
  const asked = await Promise.all(relays.map(async (relay) => ({ relay, standing: await standingOf(relay, greeting) })))
  return asked.sort((a, b) => rankOf(a.standing) - rankOf(b.standing)).map(({ relay }) => relay)
}

/** Load is 1 at most. */
function rankOf(standing: Standing | undefined): number {
  if (standing === undefined) return 2
  return standing.isDraining ? 3 : standing.load
}

const standings = new WeakMap<RelayConfig, { readonly at: number; readonly standing: Standing }>()

async function standingOf(relay: RelayConfig, greeting: Greeting): Promise<Standing | undefined> {
  const kept = standings.get(relay)
  if (kept && Date.now() - kept.at < STANDING_MS) return kept.standing
  try {
    const standing = await askStanding(relay, greeting)
    standings.set(relay, { at: Date.now(), standing })
    return standing
  } catch {
    return undefined
  }
}

/** What a relay says of itself. @throws Problem `unavailable` */
export async function askStanding(relay: RelayConfig, { ctx, traceparent, log }: Omit<Greeting, 'config'>): Promise<Standing> {
  const dialled = await relayDialer(relay, ctx.container).dial(GREET_MS)
  return greetRelay({ ...dialled, relay, log, traceparent, withinMs: GREET_MS })
}
