import type { Config, RelayConfig } from '../platform/config.ts'
import type { Log } from '../platform/log.ts'
import { relayDialer } from './dialer.ts'
import { openLink, type RelayLink } from './link.ts'
import { relayUnavailable } from './policy.ts'
import type { DialerIdentity } from './tokens.ts'

/** From nothing to an open socket; a container takes what it needs. */
const DIAL_MS = 5_000

/** Whence and as whom the relay is dialled. */
export interface Reach {
  readonly ctx: Pick<DurableObjectState, 'container'>
  readonly config: Config
  readonly who: DialerIdentity
  readonly traceparent: string
  readonly log: Log
}

/** An authenticated link to the configured relay. @throws Problem `unavailable` */
export async function reachRelay({ ctx, config, ...rest }: Reach): Promise<{ readonly relay: RelayConfig; readonly link: RelayLink }> {
  const { relay } = config
  if (!relay) throw relayUnavailable('No relay is configured.')
  const socket = await relayDialer(relay, ctx.container).dial(DIAL_MS)
  return { relay, link: await openLink({ socket, relay, ...rest }) }
}
