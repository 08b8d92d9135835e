import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { ApiKeyId } from '../../contract/api-keys.ts'
import type { TrustedDeviceId } from '../../contract/factors.ts'
import type { Locale, PendingId, SessionId, TokenMode, UserId } from '../../contract/identity.ts'
import type { SigningAlg } from '../../contract/keys.ts'
import type { PasskeyId } from '../../contract/passkeys.ts'
import type { ApiScope, PlatformRole } from '../../contract/permission.ts'

export const users = sqliteTable('users', {
  id: text('id').$type<UserId>().primaryKey(),
  email: text('email').notNull(),
  /** Empty where the account has no password. */
  passwordHash: text('password_hash').notNull(),
  locale: text('locale').$type<Locale>().notNull(),
  disabledAt: integer('disabled_at'),
  createdAt: integer('created_at').notNull(),
  /** Grows when the password is replaced, not when it is hashed anew. */
  passwordVersion: integer('password_version').notNull().default(0),
  /** Long enough only beside a second factor. */
  passwordIsShort: integer('password_is_short').notNull().default(0),
  displayName: text('display_name'),
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

/** Ways back from a first factor, mailed to the address that the account had then. */
export const factorWaysBack = sqliteTable('factor_ways_back', {
  restoreHash: text('restore_hash').primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  email: text('email').notNull(),
  addedAt: integer('added_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  restoredAt: integer('restored_at'),
})

export const signingKeys = sqliteTable('signing_keys', {
  kid: text('kid').primaryKey(),
  alg: text('alg').$type<SigningAlg>().notNull(),
  publicJwk: text('public_jwk').notNull(),
  privateJwk: text('private_jwk').notNull(),
  createdAt: integer('created_at').notNull(),
  /** Published before it signs. */
  signsFrom: integer('signs_from').notNull().default(0),
  /** When it stops signing; it may lie ahead. */
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

const device = {
  browser: text('browser'),
  system: text('system'),
  country: text('country'),
  city: text('city'),
}

export const pendingSignIns = sqliteTable('pending_sign_ins', {
  id: text('id').$type<PendingId>().primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  passwordVersion: integer('password_version').notNull(),
  amr: text('amr').notNull(),
  mode: text('mode').$type<TokenMode>().notNull(),
  place: text('place'),
  name: text('name'),
  ...device,
  tries: integer('tries').notNull().default(0),
  sessionId: text('session_id').$type<SessionId>(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
})

export const totpFactors = sqliteTable('totp_factors', {
  userId: text('user_id').$type<UserId>().primaryKey(),
  secret: text('secret').notNull(),
  sessionId: text('session_id').$type<SessionId>().notNull(),
  lastStep: integer('last_step').notNull().default(0),
  claim: text('claim'),
  createdAt: integer('created_at').notNull(),
  confirmedAt: integer('confirmed_at'),
})

export const recoveryCodes = sqliteTable(
  'recovery_codes',
  {
    userId: text('user_id').$type<UserId>().notNull(),
    codeMac: text('code_mac').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.codeMac] })],
)

export const trustedDevices = sqliteTable('trusted_devices', {
  id: text('id').$type<TrustedDeviceId>().primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  tokenHash: text('token_hash').notNull(),
  sessionId: text('session_id').$type<SessionId>().notNull(),
  ...device,
  createdAt: integer('created_at').notNull(),
  lastUsedAt: integer('last_used_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
})

/** What an account has been signed in on, by the hash of the token that the device keeps for it. */
export const knownDevices = sqliteTable(
  'known_devices',
  {
    userId: text('user_id').$type<UserId>().notNull(),
    tokenHash: text('token_hash').notNull(),
    sessionId: text('session_id').$type<SessionId>().notNull(),
    createdAt: integer('created_at').notNull(),
    lastUsedAt: integer('last_used_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.tokenHash] })],
)

export const passkeys = sqliteTable('passkeys', {
  id: text('id').$type<PasskeyId>().primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  credentialId: text('credential_id').notNull(),
  publicKey: text('public_key').notNull(),
  counter: integer('counter').notNull(),
  transports: text('transports').notNull(),
  isBackupEligible: integer('is_backup_eligible').notNull(),
  name: text('name').notNull(),
  createdAt: integer('created_at').notNull(),
  lastUsedAt: integer('last_used_at'),
})

/** What a ceremony with a passkey is for. */
export type Ceremony = 'create' | 'login' | 'factor' | 'step-up'

export const passkeyChallenges = sqliteTable('passkey_challenges', {
  challenge: text('challenge').primaryKey(),
  ceremony: text('ceremony').$type<Ceremony>().notNull(),
  binding: text('binding').notNull(),
  expiresAt: integer('expires_at').notNull(),
})

export const platformRoles = sqliteTable(
  'platform_roles',
  {
    userId: text('user_id').$type<UserId>().notNull(),
    role: text('role').$type<PlatformRole>().notNull(),
    /** A user, `operator` for the one-time command, or `erased`. */
    grantedBy: text('granted_by').notNull(),
    grantedAt: integer('granted_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.role] })],
)

/** What began at or before this moment is over; the empty user id holds for everybody. */
export const notBefores = sqliteTable('not_befores', {
  userId: text('user_id').$type<UserId | ''>().primaryKey(),
  at: integer('at').notNull(),
})

export const apiKeys = sqliteTable('api_keys', {
  id: text('id').$type<ApiKeyId>().primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  tokenHash: text('token_hash').notNull(),
  hint: text('hint').notNull(),
  name: text('name').notNull(),
  scopes: text('scopes', { mode: 'json' }).$type<readonly ApiScope[]>().notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  lastUsedAt: integer('last_used_at'),
  endedAt: integer('ended_at'),
})

/** Addresses from the beginning of each of their parts on, to find users by; triggers keep it. */
export const userWords = sqliteTable(
  'user_words',
  { word: text('word').notNull(), userId: text('user_id').$type<UserId>().notNull() },
  (t) => [primaryKey({ columns: [t.word, t.userId] })],
)
