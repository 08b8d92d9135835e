import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { ShellId, ShellState } from '../../contract/shell.ts'
import type { AlertRule } from '../../contract/shell-policy.ts'
import type { Actor } from '../platform/scope.ts'
import type { EndOrder } from './rpc.ts'
import { createTape } from './tape.ts'

/** What a shell's object must know after its memory is gone. */
export interface ShellRecord {
  readonly shellId: ShellId
  readonly orgId: OrgId
  /** Who opened it, and alone may type. */
  readonly userId: UserId
  /** Where that asks for a fresh proof of who it is: the session that gave it, and alone may type. */
  readonly provenSession?: Actor['sessionId']
  readonly target: { readonly address: string; readonly port: number }
  /** The relay that has the shell; null until one was chosen. */
  readonly relayId: string | null
  readonly state: ShellState
  readonly reason: string | null
  /** Whether input waits until somebody else watches, and who has locked it. */
  readonly needsWatcher: boolean
  readonly lockedBy: UserId | null
  readonly columns: number
  readonly rows: number
  /** Grows with every dial: the relay drops links of earlier ones. */
  readonly epoch: number
  /** Grows with every change that D1 must hear of; D1 has heard of `reportedVersion`. */
  readonly version: number
  readonly reportedVersion: number
  readonly exit: { readonly exitCode: number | null; readonly signal: string | null } | null
  /** Somebody wants it to end; it has not yet. */
  readonly ending: EndOrder | null
  /** Since when no link is up, Unix milliseconds. */
  readonly unlinkedAt: number | null
  /** Since when nobody watches and the shell goes on alone, Unix milliseconds. */
  readonly leftAt?: number | null
  readonly endedAt: number | null
  /** When the host let us in, and what the relay ends it after; absent in records of before that was kept. */
  readonly openedAt?: number
  readonly limits?: { readonly idleSeconds: number | null; readonly lifeSeconds: number | null }
  /** That the host has let us in was told. */
  readonly isConnectTold?: boolean
  /** Absent in records of before there were any. */
  readonly alerts?: readonly AlertRule[]
  readonly traceparent: string
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS typists (client TEXT PRIMARY KEY, accepted INTEGER NOT NULL, used_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (relay_from INTEGER PRIMARY KEY, client TEXT NOT NULL, client_from INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tickets (jti TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;`

/** The record, if a shell was ever opened here; an object that only ran a command or scanned has no tables at all. */
export function loadRecord(sql: SqlStorage): ShellRecord | undefined {
  const hasTables = sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'record'").toArray().length > 0
  const [row] = hasTables ? sql.exec<{ json: string }>('SELECT json FROM record').toArray() : []
  return row && (JSON.parse(row.json) as ShellRecord)
}

/** Begins the life of a shell. */
export function createRecord(sql: SqlStorage, record: ShellRecord): void {
  createTape(sql)
  sql.exec(SCHEMA)
  saveRecord(sql, record)
}

/** Replaces the record. */
export function saveRecord(sql: SqlStorage, record: ShellRecord): void {
  sql.exec('INSERT INTO record (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json', JSON.stringify(record))
}

/** Whether this ticket opens its first socket. */
export function useTicket(sql: SqlStorage, ticket: { readonly jti: string; readonly expiresAt: number }, now: number): boolean {
  sql.exec('DELETE FROM tickets WHERE expires_at < ?', now - TICKET_CLOCKS_MS)
  return (
    sql
      .exec('INSERT INTO tickets (jti, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING jti', ticket.jti, ticket.expiresAt)
      .toArray().length === 1
  )
}

/** Clocks of the Worker that checked a ticket and of this object may differ by less than this. */
const TICKET_CLOCKS_MS = 60_000
