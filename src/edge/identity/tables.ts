import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Locale, SessionId, TokenMode, UserId } from '../../contract/identity.ts'

export const users = sqliteTable('users', {
  id: text('id').$type<UserId>().primaryKey(),
  email: text('email').notNull(),
  passwordHash: text('password_hash').notNull(),
  locale: text('locale').$type<Locale>().notNull(),
  disabledAt: integer('disabled_at'),
  createdAt: integer('created_at').notNull(),
  /** Grows when the password is replaced, not when it is hashed anew. */
  passwordVersion: integer('password_version').notNull().default(0),
})

export const registrations = sqliteTable('registrations', {
  id: text('id').primaryKey(),
  email: text('email').notNull(),
  passwordHash: text('password_hash').notNull(),
  locale: text('locale').$type<Locale>().notNull(),
  codeMac: text('code_mac').notNull(),
  tries: integer('tries').notNull().default(0),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  userId: text('user_id').$type<UserId>(),
  tokenHash: text('token_hash'),
  /** What was mailed, so that a copy is the very same. */
  sealedMail: text('sealed_mail'),
  mails: integer('mails').notNull().default(1),
})

export const sessions = sqliteTable('sessions', {
  id: text('id').$type<SessionId>().primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  mode: text('mode').$type<TokenMode>().notNull(),
  counter: integer('counter').notNull().default(0),
  createdAt: integer('created_at').notNull(),
  refreshedAt: integer('refreshed_at').notNull(),
  idleExpiresAt: integer('idle_expires_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  endedAt: integer('ended_at'),
  endCause: text('end_cause'),
  name: text('name'),
  browser: text('browser'),
  system: text('system'),
  country: text('country'),
  city: text('city'),
  /** RFC 8176 values, apart by spaces. */
  amr: text('amr').notNull().default('pwd'),
  authenticatedAt: integer('authenticated_at').notNull().default(0),
})

/** What a request that a mailed code or link proves is made of. */
const proofColumns = () => ({
  email: text('email').notNull(),
  codeMac: text('code_mac'),
  tokenHash: text('token_hash'),
  tries: integer('tries').notNull().default(0),
  claim: text('claim'),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
})

export const passwordResets = sqliteTable('password_resets', {
  id: text('id').primaryKey(),
  userId: text('user_id').$type<UserId>(),
  ...proofColumns(),
})

export const magicLinks = sqliteTable('magic_links', {
  id: text('id').primaryKey(),
  userId: text('user_id').$type<UserId>(),
  ...proofColumns(),
})

export const emailChanges = sqliteTable('email_changes', {
  id: text('id').primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  ...proofColumns(),
  oldEmail: text('old_email'),
  changedAt: integer('changed_at'),
  restoreHash: text('restore_hash'),
  restoreExpiresAt: integer('restore_expires_at'),
  restoredAt: integer('restored_at'),
})

export const signingKeys = sqliteTable('signing_keys', {
  kid: text('kid').primaryKey(),
  alg: text('alg').notNull(),
  publicJwk: text('public_jwk').notNull(),
  privateJwk: text('private_jwk').notNull(),
  createdAt: integer('created_at').notNull(),
  retiredAt: integer('retired_at'),
})

export const signInPlaces = sqliteTable(
  'sign_in_places',
  {
    userId: text('user_id').$type<UserId>().notNull(),
    place: text('place').notNull(),
    signedInAt: integer('signed_in_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.place] })],
)
