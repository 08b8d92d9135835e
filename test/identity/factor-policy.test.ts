import { describe, expect, test } from 'vitest'
import { type Enrolment, factorMethodsOf, steppedUpUntil, stepUpMethodsOf } from '../../src/edge/identity/factor-policy.ts'

const NOBODY: Enrolment = { hasPassword: 0, hasTotp: 0, passkeys: 0, recoveryCodes: 0 }
const NOW = 1_700_000_000_000

describe.each<[string, Partial<Enrolment>, string[], string[]]>([
  ['nothing', {}, [], []],
  ['a password', { hasPassword: 1 }, [], ['password']],
  ['a password and stray recovery codes', { hasPassword: 1, recoveryCodes: 3 }, [], ['password']],
  ['a password and an app', { hasPassword: 1, hasTotp: 1 }, ['totp'], ['totp']],
  ['an app and codes', { hasPassword: 1, hasTotp: 1, recoveryCodes: 1 }, ['totp', 'recovery-code'], ['totp', 'recovery-code']],
  ['passkeys alone', { passkeys: 2 }, ['passkey'], ['passkey']],
  [
    'everything',
    { hasPassword: 1, hasTotp: 1, passkeys: 1, recoveryCodes: 9 },
    ['passkey', 'totp', 'recovery-code'],
    ['passkey', 'totp', 'recovery-code'],
  ],
])('with %s', (_, has, second, stepUp) => {
  const enrolment = { ...NOBODY, ...has }
  test('a sign-in takes what is enrolled', () => expect(factorMethodsOf(enrolment)).toEqual(second))
  test('a step-up takes as much', () => expect(stepUpMethodsOf(enrolment)).toEqual(stepUp))
})

describe('a session is stepped up', () => {
  const at = (amr: string, ageMs: number, has: Partial<Enrolment> = { hasPassword: 1 }) =>
    steppedUpUntil({ amr, authenticatedAt: NOW - ageMs, enrolment: { ...NOBODY, ...has } }, NOW)

  test('for five minutes from its proof', () => {
    expect(at('pwd', 0)).toBe(NOW + 300_000)
    expect(at('pwd', 299_999)).toBe(NOW + 1)
    expect(at('pwd', 300_000)).toBeUndefined()
  })

  test('by a single factor only where there is no second one', () => {
    expect(at('pwd', 0, { hasPassword: 1, hasTotp: 1 })).toBeUndefined()
    expect(at('email', 0, { passkeys: 1 })).toBeUndefined()
    expect(at('pwd otp', 0, { hasPassword: 1, hasTotp: 1 })).toBeUndefined()
    expect(at('pwd otp mfa', 0, { hasPassword: 1, hasTotp: 1 })).toBe(NOW + 300_000)
  })
})
