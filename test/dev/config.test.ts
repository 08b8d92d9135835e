import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { unstable_readConfig } from 'wrangler'
import { CONFIG_KEYS, ConfigError, parseConfig } from '../../src/edge/platform/config.ts'
import { generateSealingKey, generateSigningKey } from '../../src/relay/keys.ts'

const vars = unstable_readConfig({ config: 'wrangler.toml' }, { hideWarnings: true }).vars
const example = parseEnv(readFileSync('.dev.vars.example', 'utf8'))

describe('every key of the configuration', () => {
  test('that wrangler.toml sets is one the Worker reads', () => {
    expect(Object.keys(vars).filter((key) => !CONFIG_KEYS.includes(key))).toEqual([])
  })

  test('is set in wrangler.toml or explained in .dev.vars.example, and in one of them only', () => {
    expect([...Object.keys(vars), ...Object.keys(example)].toSorted()).toEqual([...CONFIG_KEYS].toSorted())
  })

  test('is without a value in .dev.vars.example', () => {
    expect(Object.values(example).join('')).toBe('')
  })
})

const root = () => `1:${randomBytes(32).toString('base64url')}`
const rootOf = (bytes: Buffer) => `1:${bytes.toString('base64url')}`
const signing = generateSigningKey()

const PRODUCTION = {
  ENVIRONMENT: 'production',
  PUBLIC_ORIGIN: 'https://parvis.example.org',
  SECRET_KEYS: root(),
  MAIL_FROM: 'hello@parvis.example.org',
  MAIL_TRANSPORT: 'cloudflare',
  RELAY_HOST: 'relay.example.org',
  RELAY_VERIFY_KEY: JSON.stringify(signing.publicJwk),
  RELAY_SEAL_KEY: JSON.stringify(generateSealingKey().publicJwk),
  RELAY_DIALER_KEY: JSON.stringify(generateSigningKey().privateJwk),
}

/** What is wrong, the values that make it so, and the keys that must be named. */
const WEAK: readonly (readonly [string, Record<string, string>, string])[] = [
  ['a root secret of one repeated byte', { SECRET_KEYS: rootOf(Buffer.alloc(32, 7)) }, 'SECRET_KEYS'],
  ['a root secret that counts', { SECRET_KEYS: rootOf(Buffer.from([...Array(32).keys()])) }, 'SECRET_KEYS'],
  ['a root secret that somebody typed', { SECRET_KEYS: rootOf(Buffer.from('change-me-change-me-change-me-32')) }, 'SECRET_KEYS'],
  ['a weak root secret behind a strong one', { SECRET_KEYS: `2:${root().slice(2)},${rootOf(Buffer.alloc(32, 1))}` }, 'SECRET_KEYS'],
  ['an origin without TLS', { PUBLIC_ORIGIN: 'http://parvis.example.org' }, 'PUBLIC_ORIGIN'],
  ['a foreign origin without TLS', { CORS_ORIGINS: 'https://a.example.org,http://b.example.org' }, 'CORS_ORIGINS'],
  ['the mail catcher', { MAIL_TRANSPORT: 'catcher', MAIL_CATCHER_URL: 'http://127.0.0.1:8025' }, 'MAIL_TRANSPORT'],
  ['SMTP without TLS', { MAIL_TRANSPORT: 'smtp', SMTP_HOST: 'smtp.example.org', SMTP_TLS: 'none' }, 'SMTP_TLS'],
]

const BROKEN: readonly (readonly [string, Record<string, string>, string])[] = [
  ['a root secret that is too short', { SECRET_KEYS: rootOf(randomBytes(31)) }, 'SECRET_KEYS'],
  ['a root secret without a version', { SECRET_KEYS: randomBytes(32).toString('base64url') }, 'SECRET_KEYS'],
  ['two root secrets of one version', { SECRET_KEYS: `${root()},${root()}` }, 'SECRET_KEYS'],
  ['the example in place of a secret', { SECRET_KEYS: '' }, 'SECRET_KEYS'],
  ['an origin with a path', { PUBLIC_ORIGIN: 'https://parvis.example.org/app' }, 'PUBLIC_ORIGIN'],
  ['ways back to an app that is not listed', { RESTORE_APP: 'https://app.example.org' }, 'RESTORE_APP'],
  ['passkeys of a foreign domain', { PASSKEY_RP_ID: 'example.com' }, 'PASSKEY_RP_ID'],
  ['passkeys of a domain that only ends alike', { PASSKEY_RP_ID: 'vis.example.org' }, 'PASSKEY_RP_ID'],
  ['a user without a password', { SMTP_USERNAME: 'parvis-submitter' }, 'SMTP_USERNAME, SMTP_PASSWORD'],
  ['a password without a user', { SMTP_PASSWORD: 'a-password-nobody-should-see' }, 'SMTP_USERNAME, SMTP_PASSWORD'],
  ['a key that is not JSON', { RELAY_VERIFY_KEY: 'not-a-key-at-all' }, 'RELAY_VERIFY_KEY'],
  ['a public key where a private one belongs', { RELAY_DIALER_KEY: JSON.stringify(signing.publicJwk) }, 'RELAY_DIALER_KEY'],
  ['a signing key where a sealing key belongs', { RELAY_SEAL_KEY: JSON.stringify(signing.publicJwk) }, 'RELAY_SEAL_KEY'],
]

function refusalOf(env: object): string {
  try {
    parseConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'nothing'
}

describe('the Worker refuses to run', () => {
  test('not when everything is as it should be', () => {
    expect(refusalOf(PRODUCTION)).toBe('nothing')
    expect(refusalOf({ ...PRODUCTION, PASSKEY_RP_ID: 'example.org' })).toBe('nothing')
  })

  test.each([...WEAK, ...BROKEN])('outside dev with %s, and names keys only', (_, values, keys) => {
    const message = refusalOf({ ...PRODUCTION, ...values })
    expect(message).toBe(`refused configuration: ${keys}`)
    for (const value of Object.values(values).flatMap((text) => [text, ...text.split(/[:,]/)])) {
      if (value.length > 3) expect(message).not.toContain(value)
    }
  })

  test.each(WEAK)('not in dev with %s', (_, values) => {
    expect(refusalOf({ ...PRODUCTION, ENVIRONMENT: 'dev', ...values })).toBe('nothing')
  })

  test.each(BROKEN)('even in dev with %s', (_, values, keys) => {
    expect(refusalOf({ ...PRODUCTION, ENVIRONMENT: 'dev', ...values })).toBe(`refused configuration: ${keys}`)
  })

  test('when nothing says where it is, as outside dev', () => {
    const { ENVIRONMENT: _, ...rest } = PRODUCTION
    expect(refusalOf({ ...rest, SECRET_KEYS: rootOf(Buffer.alloc(32, 7)) })).toBe('refused configuration: SECRET_KEYS')
  })
})
