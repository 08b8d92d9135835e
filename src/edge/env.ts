import type { RoomRpc } from './rooms/rpc.ts'
import type { ShellRpc } from './shell/rpc.ts'

/** Bindings declared in wrangler.toml; its `[vars]` and secrets are read by `platform/config.ts`. */
export interface Env {
  readonly DB: D1Database
  readonly ROOMS: DurableObjectNamespace<RoomRpc>
  readonly SHELLS: DurableObjectNamespace<ShellRpc>
  /** Nudges for outbox events: `{ eventId }`. */
  readonly OUTBOX: Queue<{ readonly eventId: string }>
  readonly ASSETS: Fetcher
  /** Cloudflare's mail binding; used when MAIL_TRANSPORT is `cloudflare`. */
  readonly EMAIL?: SendEmail
}
