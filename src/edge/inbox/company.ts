import type { UserId } from '../../contract/identity.ts'
import { INBOX_PEERS_MAX } from '../../contract/inbox.ts'

/** Where somebody stands: seen, there without being seen, or not there. */
export type Standing = 'away' | 'incognito' | 'shown'

/** What one inbox tells another of where its user stands. Of two words the one of the later turn counts, whichever comes first. */
export interface Word {
  readonly userId: UserId
  readonly standing: Standing
  readonly turn: number
  /** Until when it counts, Unix milliseconds: a lost farewell heals by itself. */
  readonly until: number
}

/** Somebody who comes back this soon, by a reload or another network, has not been away. */
export const GRACE_MS = 8_000
/** A word that was renewed with the token behind it is told anew only if it lasts this much longer. */
const RENEWAL_MS = 60_000
/** How long a farewell is remembered, so that an older word on its way is not believed. */
const FAREWELL_MS = 60_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS company_own (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  standing  TEXT    NOT NULL,
  turn      INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  leaves_at INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS company_peers (
  user_id  TEXT    PRIMARY KEY,
  standing TEXT    NOT NULL,
  turn     INTEGER NOT NULL,
  until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;`

interface Own extends Record<string, SqlStorageValue> {
  readonly standing: Standing
  readonly turn: number
  readonly until: number
  readonly tellAt: number | null
}

/** Who leaves may be back soon; who is seen again may hide again as soon as their room is back. Who comes or hides is told at once. */
const mayWait = (from: Standing, to: Standing): boolean => to === 'away' || (from === 'incognito' && to === 'shown')

/** What to do about a standing: nothing, tell it, or wait until the grace is over. */
export type Settlement = { readonly kind: 'same' } | { readonly kind: 'tell' } | { readonly kind: 'wait'; readonly until: number }

/** Who is here of those whom a user shares a room with, and what they were told of the user. */
export interface Company {
  /** Weighs where the user stands now against what the others were told: who comes or hides is told at once, who leaves or shows themselves again after a grace. */
  readonly weigh: (now: { readonly standing: Standing; readonly until: number }, at: number) => Settlement
  /** Takes a standing as told from here on; answers the word to tell. */
  readonly take: (standing: Standing, until: number) => Omit<Word, 'userId'>
  /** The latest word. */
  readonly own: () => Omit<Word, 'userId'>
  /** Takes in a word, unless the user is away or has company enough. Answers whether it may be stored, and what changed to the eye. */
  readonly hear: (word: Word, at: number) => { readonly isKept: boolean; readonly edge: 'on' | 'off' | undefined }
  /** Those who are here, seen or not: they are told when the user leaves. */
  readonly known: () => readonly UserId[]
  readonly shown: () => readonly UserId[]
  /** Forgets one; answers whether they were seen. */
  readonly forget: (userId: UserId) => boolean
  /** Forgets everybody, and what they were told. */
  readonly erase: () => void
  /** Drops words that count no more; answers who vanished by that and when to look again. */
  readonly prune: (at: number) => { readonly off: readonly UserId[]; readonly next: number | undefined }
}

/** Opens the stored company. */
export function openCompany(sql: SqlStorage): Company {
  sql.exec(SCHEMA)

  function own(): Own {
    const rows = sql.exec<Own>('SELECT standing, turn, until, leaves_at AS tellAt FROM company_own').toArray()
    return rows[0] ?? { standing: 'away', turn: 0, until: 0, tellAt: null }
  }
  const waitUntil = (at: number | null) => void sql.exec('UPDATE company_own SET leaves_at = ?', at)
  const usersWhere = (condition: string) =>
    sql
      .exec<{ id: string }>(`SELECT user_id AS id FROM company_peers WHERE ${condition}`)
      .toArray()
      .map(({ id }) => id as UserId)
  const known = () => usersWhere("standing <> 'away'")

  return {
    weigh({ standing, until }, at) {
      const said = own()
      if (standing !== said.standing && mayWait(said.standing, standing)) {
        const tellAt = said.tellAt ?? at + GRACE_MS
        if (at >= tellAt) return { kind: 'tell' }
        if (said.tellAt === null) waitUntil(tellAt)
        return { kind: 'wait', until: tellAt }
      }
      if (said.tellAt !== null) waitUntil(null)
      const isRenewed = standing !== 'away' && until > said.until + RENEWAL_MS
      return { kind: standing !== said.standing || isRenewed ? 'tell' : 'same' }
    },
    take(standing, until) {
      const turn = Math.max(Date.now(), own().turn + 1)
      sql.exec('INSERT OR REPLACE INTO company_own (id, standing, turn, until, leaves_at) VALUES (1, ?, ?, ?, NULL)', standing, turn, until)
      return { standing, turn, until }
    },
    own() {
      const { standing, turn, until } = own()
      return { standing, turn, until }
    },
    hear({ userId, standing, turn, until }, at) {
      const [row] = sql
        .exec<{ standing: string; turn: number }>('SELECT standing, turn FROM company_peers WHERE user_id = ?', userId)
        .toArray()
      const isAway = standing === 'away' || own().standing === 'away'
      if (!row && (isAway || known().length >= INBOX_PEERS_MAX)) return { isKept: false, edge: undefined }
      if (row && row.turn >= turn) return { isKept: true, edge: undefined }
      sql.exec(
        'INSERT OR REPLACE INTO company_peers (user_id, standing, turn, until) VALUES (?, ?, ?, ?)',
        userId,
        isAway ? 'away' : standing,
        turn,
        isAway ? at + FAREWELL_MS : until,
      )
      const [was, is] = [row?.standing === 'shown', standing === 'shown' && !isAway]
      return { isKept: !isAway, edge: was === is ? undefined : is ? 'on' : 'off' }
    },
    known,
    shown: () => usersWhere("standing = 'shown'"),
    forget: (userId) =>
      sql.exec<{ standing: string }>('DELETE FROM company_peers WHERE user_id = ? RETURNING standing', userId).toArray()[0]?.standing ===
      'shown',
    erase() {
      for (const table of ['company_own', 'company_peers']) sql.exec(`DELETE FROM ${table}`)
    },
    prune(at) {
      const off = sql
        .exec<{ id: string; standing: string }>('DELETE FROM company_peers WHERE until <= ? RETURNING user_id AS id, standing', at)
        .toArray()
        .flatMap(({ id, standing }) => (standing === 'shown' ? [id as UserId] : []))
      const { next } = sql.exec<{ next: number | null }>('SELECT min(until) AS next FROM company_peers').one()
      return { off, next: next ?? undefined }
    },
  }
}
