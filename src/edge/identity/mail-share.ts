import { getTableName, type SQL, sql } from 'drizzle-orm'
import { emailChanges, magicLinks, passwordResets, registrations } from './tables.ts'

/** Mails of one kind that strangers can make one address receive an hour, in whatever order. */
const OF_A_KIND_MAX = 5
/** Where links are asked for again as soon as they are used, or by many users for one address. */
const OF_A_KIND_EVER_MAX = 20
/** As {@link OF_A_KIND_MAX}, of all kinds together. */
const OF_ALL_KINDS_MAX = 12
const HOUR_MS = 3_600_000

/** Tables of requests that mail a proof to an address. */
export type MailedTable = typeof registrations | ProofTable
/** Those of them that share the columns of a mailed proof. */
export type ProofTable = typeof passwordResets | typeof magicLinks | typeof emailChanges

/** Whose share of mails it is, and when. */
export interface Recipient {
  readonly email: string
  readonly now: number
}

/** What was not mailed does not count: else whoever goes on asking would keep an address without mail for good. */
function mailsOf(table: MailedTable, { email, now }: Recipient): SQL {
  const isCounted = sql`r.email = ${email} AND r.created_at > ${now - HOUR_MS}`
  return getTableName(table) === getTableName(registrations)
    ? sql`(SELECT ifnull(sum(r.mails), 0) FROM registrations AS r WHERE ${isCounted})`
    : sql`(SELECT count(*) FROM ${table} AS r WHERE ${isCounted} AND r.code_mac IS NOT NULL AND r.user_id IS NOT NULL)`
}

/** Whether an address would be over its share, of this kind or of all, with so many mails more than are counted. */
export function isOverShare(table: MailedTable, to: Recipient, more: number): SQL {
  const ofAll = sql.join(
    [registrations, passwordResets, magicLinks, emailChanges].map((each) => mailsOf(each, to)),
    sql` + `,
  )
  return sql`(${mailsOf(table, to)} + ${more} > ${OF_A_KIND_MAX} OR ${ofAll} + ${more} > ${OF_ALL_KINDS_MAX})`
}

/**
 * Whether the mail of a request that is counted already is one too many. As long as no link lives in the mailbox it is not: strangers who
 * ask without end must not keep its owner out.
 */
export const isExcess = (table: MailedTable, to: Recipient, hasLiveLink: SQL): SQL =>
  sql`((${isOverShare(table, to, 0)} AND ${hasLiveLink}) OR ${mailsOf(table, to)} > ${OF_A_KIND_EVER_MAX})`
