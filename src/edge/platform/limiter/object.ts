import { DurableObject } from 'cloudflare:workers'
import type { Env } from '../../env.ts'
import { bindingsOf, CHARGE, type Charge, GIVE_BACK, type LimitRow, PEEK, type Standing, standingOf } from './charge.ts'
import type { LimiterRpc } from './rpc.ts'

/** Setting an alarm is a billed write; an hour of forgotten rows is no burden. */
const SWEEP_MS = 3_600_000
const SWEEP_MS_MAX = 30 * 86_400_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS limits (
  key           TEXT    PRIMARY KEY,
  count         INTEGER NOT NULL,
  blocked_until INTEGER NOT NULL,
  forget_at     INTEGER NOT NULL,
  charged_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID`

/** The exact counters of one network, user or fuse. Each charge is written before it is answered, so an eviction forgets nothing. */
export class LimiterObject extends DurableObject<Env> implements LimiterRpc {
  #isOpen = false
  #isSweepPlanned = false

  /** Takes one unit of each budget, or of none. No await stands between the first look and the last write. */
  async charge(charges: readonly Charge[]): Promise<readonly Standing[]> {
    const sql = this.#sql()
    const now = Date.now()
    const standings = charges.map((charge) => {
      const [charged] = sql.exec<LimitRow>(CHARGE, ...bindingsOf(charge, now)).toArray()
      const [blocking] = charged ? [] : sql.exec<LimitRow>(PEEK, charge.key).toArray()
      return standingOf({ charged, blocking }, now)
    })
    if (!standings.every((s) => s.isAdmitted)) {
      for (const [i, { key }] of charges.entries()) if (standings[i]?.isAdmitted) sql.exec(GIVE_BACK, key)
    }
    await this.#planSweep(now)
    return standings
  }

  /** Gives one unit back to each. */
  async giveBack(keys: readonly string[]): Promise<void> {
    const sql = this.#sql()
    for (const key of keys) sql.exec(GIVE_BACK, key)
  }

  /** Drops what is forgotten; an object that holds nothing any more ceases to exist. */
  override async alarm(): Promise<void> {
    const sql = this.#sql()
    const now = Date.now()
    this.#isSweepPlanned = false
    sql.exec('DELETE FROM limits WHERE forget_at <= ?1', now)
    const { next } = sql.exec<{ next: number | null }>('SELECT min(forget_at) AS next FROM limits').one()
    if (next !== null) {
      await this.ctx.storage.setAlarm(Math.min(Math.max(next, now + SWEEP_MS), now + SWEEP_MS_MAX))
      return
    }
    this.#isOpen = false
    await this.ctx.storage.deleteAll()
  }

  #sql(): SqlStorage {
    const { sql } = this.ctx.storage
    if (!this.#isOpen) sql.exec(SCHEMA)
    this.#isOpen = true
    return sql
  }

  async #planSweep(now: number): Promise<void> {
    if (this.#isSweepPlanned) return
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(now + SWEEP_MS)
    this.#isSweepPlanned = true
  }
}
