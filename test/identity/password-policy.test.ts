import { describe, expect, test } from 'vitest'
import { COMMON_PASSWORDS } from '../../src/edge/identity/common-passwords.ts'
import { refusalOf } from '../../src/edge/identity/password-policy.ts'

const ask = (password: string, { email = 'ada.lovelace@example.org', productName = 'Parvis' } = {}) =>
  refusalOf(password, { email, productName, common: COMMON_PASSWORDS })

describe('the list of common passwords', () => {
  test('holds at least the 3 000 that ASVS asks for, once each, as they are compared', () => {
    expect(COMMON_PASSWORDS.size).toBeGreaterThan(3_000)
    for (const word of COMMON_PASSWORDS) expect(word).toBe(word.normalize('NFKC').toLowerCase())
  })

  test('refuses each of them, and each again in capitals', () => {
    const passed = [...COMMON_PASSWORDS].flatMap((word) => [word, word.toUpperCase()]).filter((word) => ask(word) === undefined)
    expect(passed).toEqual([])
  })
})

describe('refused with the reason', () => {
  test.each([
    ['maytheforcebewithyou', 'is among the most common passwords'],
    ['May the Force be with you!', 'is among the most common passwords'],
    ['M4y_th3_f0rc3_b3_w1th_y0u', 'is among the most common passwords'],
    ['ｐａｓｓｗｏｒｄ１２３４５６７８', 'is among the most common passwords'],
    ['PasswordPassword', 'is among the most common passwords'],
    ['dragondragondragon', 'is made of common passwords, runs of keys or repetitions'],
    ['P@ssw0rd-P@ssw0rd', 'is among the most common passwords'],
    ['elephant mountain', 'is made of common passwords, runs of keys or repetitions'],
    ['sunshine-princess-2026', 'is made of common passwords, runs of keys or repetitions'],
    ['2019charlie-monkey', 'is made of common passwords, runs of keys or repetitions'],
    ['liverpool1234567', 'is made of common passwords, runs of keys or repetitions'],
    ['qwertyuiopasdfghjkl', 'is made of common passwords, runs of keys or repetitions'],
    ['lkjhgfdsapoiuytrewq', 'is made of common passwords, runs of keys or repetitions'],
    ['123456789012345678', 'is made of common passwords, runs of keys or repetitions'],
    ['azertyuiopqsdfghjklm', 'is made of common passwords, runs of keys or repetitions'],
    ['98765432109876543', 'is made of common passwords, runs of keys or repetitions'],
    ['wombatswombatswombats', 'is made of common passwords, runs of keys or repetitions'],
    ['aaaaaaaaaaaaaaaaaaaa', 'repeats a few characters'],
    ['abababababababababab', 'repeats a few characters'],
    ['!?!?!?!?!?!?!?!?!?', 'repeats a few characters'],
    ['the parvis of my cathedral', 'contains the name of this service'],
    ['my P4rv1s passphrase', 'contains the name of this service'],
    ['I am ada.lovelace, hello', 'contains your address'],
    ['ada@example.org forever', 'is too much like your address', 'ada'],
    ['lovelacE.Ada@example', 'is made of common passwords, runs of keys or repetitions'],
  ])('%s %s', (password, reason, mailbox?: string) => {
    expect(ask(password, mailbox ? { email: `${mailbox}@example.org` } : {})).toBe(reason)
  })

  test('an address of few letters forbids no phrase that happens to hold them', () => {
    expect(ask('canada geese fly south in autumn', { email: 'ada@example.org' })).toBeUndefined()
    expect(ask('johnjohn-2026', { email: 'john@example.org' })).toBeDefined()
  })
})

describe('welcome', () => {
  test.each([
    'seven otters juggle lanterns',
    'no digits and no capitals here',
    'É à ü 漢字 ça marche très bien',
    'plonk-vexing-quartz-9',
    'x7#Kq!mZ2&vLw9$Rt',
    'il pleut sur la ville comme hier',
    `${'a long sentence of a patient person, '.repeat(9)}the end`,
    'dragon monkey football batman',
    '🦊🐢🦀🐙🦉🦄🐝🐬 in a boat',
  ])('%s', (password) => {
    expect(ask(password)).toBeUndefined()
  })
})

test('the longest texts are judged in no time', () => {
  const hard = ['ab1'.repeat(341), 'İ'.repeat(1_024), `${'password'.repeat(127)}x`, 'qwertyuiop'.repeat(102), '\u0390'.repeat(1_024)]
  const startedAt = performance.now()
  for (const password of hard) {
    ask(password, { email: `${'ab1'.repeat(80)}@example.org`, productName: 'ab1'.repeat(20) })
    ask(password, { email: `${'İ'.repeat(250)}@example.org`, productName: 'İ'.repeat(60) })
  }
  expect((performance.now() - startedAt) / (2 * hard.length)).toBeLessThan(200)
})
