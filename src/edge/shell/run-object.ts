import { DurableObject } from 'cloudflare:workers'
import { UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { RUN_RESULTS_DAYS, type Run, type RunHost } from '../../contract/runs.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Env } from '../env.ts'
import { objectScope } from '../platform/object-scope.ts'
import { type Sealed, seal } from '../platform/rpc.ts'
import type { RunOrder, RunRpc } from './rpc.ts'
import { beginBook, type HostEntry, openBook } from './run-book.ts'
import { drive, type LiveRun, report, stop } from './run-drive.ts'
import { eventsOf } from './run-events.ts'
import { insertRun, isRunThere } from './run-store.ts'

/** A run that goes on is looked after this often, whatever happened to the memory of it. */
const WATCH_MS = 10_000
/** A batch of a lost memory has landed by then, or never does. */
const STARTING_MS = 60_000
const DAY_MS = 86_400_000
/** Browsers of a team; each holds a stream open. */
const FOLLOWERS_MAX = 32
/** As many as a person has tabs, and never all there are. */
const FOLLOWERS_PER_PERSON_MAX = 8

/** One command on many hosts. Its book is durable before anything begins, so whatever dies, the alarm goes on from there. */
export class RunObject extends DurableObject<Env> implements RunRpc {
  #run: LiveRun | undefined

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#run = this.#live(openBook(ctx.storage.sql))
    if (this.#run) drive(this.#run)
  }

  async startRun(order: RunOrder): Promise<Sealed<Run>> {
    return seal(() => this.#start(order))
  }

  async readRun(): Promise<Run | null> {
    return this.#run?.book.view() ?? null
  }

  async readHosts({ after, limit }: { readonly after: number; readonly limit: number }): Promise<readonly RunHost[] | null> {
    return this.#run?.book.after(after, limit).map(toHost) ?? null
  }

  async cancelRun(): Promise<Run | null> {
    if (this.#run) stop(this.#run, 'cancelled')
    return this.readRun()
  }

  async forgetRunner(): Promise<void> {
    if (!this.#run) return
    stop(this.#run, 'cancelled')
    this.#run.book.change({ userId: null })
  }

  async forgetRun(): Promise<void> {
    if (this.#run) stop(this.#run, 'cancelled')
    this.#run = undefined
    await this.ctx.storage.deleteAlarm()
    await this.ctx.storage.deleteAll()
  }

  /** The events after the change that the address names. */
  override async fetch(request: Request): Promise<Response> {
    const run = this.#run
    if (!run) return new Response(null, { status: 410 })
    const asked = new URL(request.url).searchParams
    const [after, userId] = [Number(asked.get('after')), UserId.parse(asked.get('userId'))]
    if (run.book.record().endedAt !== null && after > run.book.lastSeq()) return new Response(null, { status: 204 })
    const people = [...run.followers.values()]
    const isFull = people.length >= FOLLOWERS_MAX || people.filter((id) => id === userId).length >= FOLLOWERS_PER_PERSON_MAX
    if (isFull) return new Response(null, { status: 409 })
    return new Response(eventsOf(run, { after, userId }))
  }

  override async alarm(): Promise<void> {
    if (this.#run) await this.#settleStart(this.#run)
    // Settling may have forgotten it.
    const run = this.#run
    if (!run) return
    drive(run)
    await report(run)
    const { endedAt, isReported } = run.book.record()
    if (endedAt !== null && Date.now() > endedAt + RUN_RESULTS_DAYS * DAY_MS) return this.forgetRun()
    await this.ctx.storage.setAlarm(Date.now() + (isReported ? DAY_MS : WATCH_MS))
  }

  #live(book: LiveRun['book'] | undefined): LiveRun | undefined {
    if (!book) return undefined
    const scope = objectScope(this.ctx, this.env, book.record().traceparent)
    return { book, scope, busy: new Set(), followers: new Map(), retryAt: 0, timer: null }
  }

  async #start(order: RunOrder): Promise<Run> {
    if (this.#run) throw new Error('an object runs one run')
    const book = beginBook(this.ctx.storage.sql, order)
    const run = this.#live(book)
    this.#run = run
    if (!run) throw new Error('a book makes a run')
    await this.ctx.storage.setAlarm(Date.now() + WATCH_MS)
    const { scope } = run
    const { runId, orgId, userId: actorId, hosts } = order
    const [inserted] = await scope.db.batch([
      insertRun(scope.db, order),
      auditIfChanged(scope, { action: 'run.start', subject: runId, orgId, actorId, cause: `${hosts.length} hosts` }),
    ])
    if (inserted.meta.changes !== 1) {
      await this.forgetRun()
      throw new Problem('limit-reached')
    }
    this.#go(run)
    return book.view()
  }

  #go(run: LiveRun): void {
    if (run.book.record().state === 'starting') run.book.change({ state: 'running' })
    drive(run)
  }

  /** The memory died between two steps: D1 knows whether the run was let in. */
  async #settleStart(run: LiveRun): Promise<void> {
    const { state, createdAt } = run.book.record()
    if (state !== 'starting') return
    const [there] = await isRunThere(run.scope.db, run.book.record().runId)
    if (there) this.#go(run)
    else if (Date.now() > createdAt + STARTING_MS) await this.forgetRun()
  }
}

const toHost = ({ place: _, ...host }: HostEntry): RunHost => host
