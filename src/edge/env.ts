import type { InboxRpc } from './inbox/rpc.ts'
import type { LimiterRpc } from './platform/limiter/rpc.ts'
import type { LeafRpc, RoomRpc } from './rooms/rpc.ts'
import type { RunRpc, ShellRpc } from './shell/rpc.ts'

/** Bindings declared in wrangler.toml; its `[vars]` and secrets are read by `platform/config.ts`. */
export interface Env {
  readonly DB: D1Database
  /** Recordings, by organisation and shell; nothing in it is public. */
  readonly RECORDINGS: R2Bucket
  readonly ROOMS: DurableObjectNamespace<RoomRpc>
  /** They hold sockets of rooms that have outgrown their own object; named by room and number. */
  readonly LEAVES: DurableObjectNamespace<LeafRpc>
  readonly SHELLS: DurableObjectNamespace<ShellRpc>
  readonly RUNS: DurableObjectNamespace<RunRpc>
  /** One per user, by their id. */
  readonly INBOXES: DurableObjectNamespace<InboxRpc>
  readonly LIMITERS: DurableObjectNamespace<LimiterRpc>
  /** Cloudflare's approximate counters, one per location: they shed floods, they do not count. */
  readonly SHED?: RateLimit
  /** Nudges for outbox events: `{ eventId }`. */
  readonly OUTBOX: Queue<{ readonly eventId: string }>
  readonly ASSETS: Fetcher
  /** Cloudflare's mail binding; used when MAIL_TRANSPORT is `cloudflare`. */
  readonly EMAIL?: SendEmail
}
