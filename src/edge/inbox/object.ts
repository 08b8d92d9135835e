import { DurableObject } from 'cloudflare:workers'
import type { UserId } from '../../contract/identity.ts'
import type { ProblemSlug } from '../../contract/problem.ts'
import type { Env } from '../env.ts'
import type { HolderKind, SessionIds, SocketHolder, SocketTie } from '../platform/live-sockets.ts'
import { type Holder, openRegistry, type Registry } from './registry.ts'
import type { InboxRpc } from './rpc.ts'

/** Setting an alarm is a billed write, so what is over is looked for at whole hours. */
const SWEEP_GRID_MS = 3_600_000

/** What is live of one user, in one place: where their sockets are, so that the end of a session ends them all. */
export class InboxObject extends DurableObject<Env> implements InboxRpc {
  readonly #registry: Registry
  readonly #holders: Readonly<Record<HolderKind, (name: string) => SocketHolder>>
  #sweepAt: number | undefined

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#registry = openRegistry(ctx.storage.sql)
    this.#holders = { room: (name) => env.ROOMS.getByName(name), shell: (name) => env.SHELLS.getByName(name) }
  }

  async tieSocket(tie: SocketTie): Promise<ProblemSlug | null> {
    const now = Date.now()
    const refusal = this.#registry.tie(tie, now)
    await this.#planSweep(now)
    return refusal
  }

  async untieSocket(socketId: string): Promise<void> {
    this.#registry.untie(socketId)
  }

  /** From the first line on no socket of these sessions is tied any more; a holder that fails is told again with the event. */
  async endSessions(ids: SessionIds): Promise<void> {
    const now = Date.now()
    this.#registry.noteEnded(ids, now)
    const told = await Promise.allSettled(this.#registry.holdersOf(ids).map((holder) => this.#tell(holder, ids)))
    await this.#planSweep(now)
    const failed = told.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }

  override async alarm(): Promise<void> {
    this.#sweepAt = undefined
    if (this.#registry.prune(Date.now()) !== undefined) await this.#planSweep(Date.now())
  }

  async #tell(holder: Holder, ids: SessionIds): Promise<void> {
    await this.#holders[holder.kind](holder.holder).endSessions(this.ctx.id.name as UserId, ids)
    this.#registry.forget(holder, ids)
  }

  async #planSweep(now: number): Promise<void> {
    if (this.#sweepAt !== undefined) return
    this.#sweepAt = (await this.ctx.storage.getAlarm()) ?? Math.ceil((now + 1) / SWEEP_GRID_MS) * SWEEP_GRID_MS
    await this.ctx.storage.setAlarm(this.#sweepAt)
  }
}
