import { describe, expect, test } from 'vitest'
import { AUDIT_GENESIS, auditLinkText } from '../../src/contract/audit.ts'
import { byOf, csvCell, firstBreak, isTold } from '../../src/edge/audit/policy.ts'

describe('a cell of CSV', () => {
  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '\0=1', '＝1', '＋1', '－1', '＠1'])('is no formula: %j', (text) => {
    expect(csvCell(text)).toBe(`"'${text}"`)
  })

  test.each([
    ['plain', '"plain"'],
    ['', '""'],
    ['a "quoted" word', '"a ""quoted"" word"'],
    ['="x"', `"'=""x"""`],
    ['two\r\nlines, one cell', '"two\r\nlines, one cell"'],
    ['1=1', '"1=1"'],
    ['\u001b[31mred\u0007\u009b2J\u007f', '"\\x1b[31mred\\x07\\x9b2J\\x7f"'],
    [7, '7'],
    [null, ''],
  ])('%j is written as a cell', (value, cell) => {
    expect(csvCell(value)).toBe(cell)
  })
})

test('of several breaks the one nearest the start counts, and of two at one place the first given', () => {
  const at = (seq: number, reason: 'truncated' | 'entry-changed') => ({ seq, entryId: null, reason })
  expect(firstBreak([undefined, at(4, 'truncated'), undefined, at(2, 'entry-changed')])).toEqual(at(2, 'entry-changed'))
  expect(firstBreak([at(2, 'truncated'), at(2, 'entry-changed')])).toEqual(at(2, 'truncated'))
  expect(firstBreak([undefined, undefined])).toBeUndefined()
})

test('a reader learns the circumstances of their own acts, of strangers at their door and of ours, never those of other people', () => {
  const seen = ['usr_me', 'anonymous', 'system', 'usr_other'].map((actor) => byOf(actor, 'usr_me'))
  expect(seen).toEqual(['you', 'anonymous', 'system', 'other'])
  expect(seen.map(isTold)).toEqual([true, true, true, false])
})

test('what a link seals keeps its form, or every chain would break', () => {
  const facts = { chain: 'platform', seq: 1, prevHash: AUDIT_GENESIS, id: 1, at: 2, orgId: null, actorId: 'system', action: 'a.b' }
  expect(auditLinkText({ ...facts, subject: 's', cause: 'é"\n', traceId: 't', sessionId: null, country: 'FR' })).toBe(
    `["parvis-audit/1","platform",1,"${'0'.repeat(64)}",1,2,null,"system","a.b","s","é\\"\\n","t",null,"FR"]`,
  )
})

test('no two entries seal the same text', () => {
  const facts = {
    chain: 'c',
    seq: 1,
    prevHash: 'p',
    id: 1,
    at: 2,
    orgId: null,
    actorId: 'a',
    action: 'b',
    traceId: 't',
    sessionId: null,
    country: null,
  }
  const texts = [
    auditLinkText({ ...facts, subject: 'x', cause: 'y' }),
    auditLinkText({ ...facts, subject: 'x","y', cause: null }),
    auditLinkText({ ...facts, subject: 'x', cause: null }),
    auditLinkText({ ...facts, subject: 'x', cause: 'null' }),
    auditLinkText({ ...facts, subject: 'x', cause: '' }),
  ]
  expect(new Set(texts).size).toBe(texts.length)
})
