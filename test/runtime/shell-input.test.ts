import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, test } from 'vitest'
import { VIEW_INPUT_WINDOW_BYTES } from '../../src/contract/viewer.ts'
import { openLedger } from '../../src/edge/shell/ledger.ts'
import { createRecord } from '../../src/edge/shell/record.ts'
import { openTape, TAPE_BYTES_MAX } from '../../src/edge/shell/tape.ts'
import { createTypists } from '../../src/edge/shell/typists.ts'
import { recordOf } from './shell-peer.ts'

let objects = 0
/** Runs with the storage of an object that nobody has used. */
const withSql = (work: (sql: SqlStorage, sync: () => Promise<void>) => Promise<void> | void) =>
  runInDurableObject(env.SHELLS.getByName(`input-${++objects}`), async (_, ctx) => {
    createRecord(ctx.storage.sql, recordOf({}))
    await work(ctx.storage.sql, () => ctx.storage.sync())
  })

const bytes = (text: string) => new TextEncoder().encode(text)
const tick = () => new Promise((resolve) => setTimeout(resolve, 0))

/** A relay that takes input under credit and can forget what it has not acknowledged. */
function relay(sql: SqlStorage, sync: () => Promise<void>) {
  const sent: string[] = []
  const ledger = openLedger(sql)
  const typists = createTypists({
    ledger,
    sync,
    send: ({ offset, bytes: b }) => void sent.push(`${offset}:${new TextDecoder().decode(b)}`),
  })
  return { sent, ledger, typists }
}

test('input of two viewers becomes one, each byte once, and each hears where its own stands', () =>
  withSql(async (sql, sync) => {
    const { sent, ledger, typists } = relay(sql, sync)
    expect(typists.take('a', { offset: 0, bytes: bytes('x') })).toBe('waiting')
    typists.linkUp({ inOffset: 0, creditBytes: 1000 })
    expect(typists.take('a', { offset: 0, bytes: bytes('aaa') })).toBe('taken')
    expect(typists.take('a', { offset: 0, bytes: bytes('aa') })).toBe('known')
    expect(typists.take('b', { offset: 0, bytes: bytes('bb') })).toBe('taken')
    expect(typists.take('b', { offset: 5, bytes: bytes('b') })).toBe('hole')
    expect(typists.take('a', { offset: 2, bytes: bytes('aA') })).toBe('taken')
    await expect.poll(() => sent).toEqual(['0:aaa', '3:bb', '5:A'])
    expect(typists.acked(4)).toEqual(['a', 'b'])
    expect([ledger.acceptedOf('a'), ledger.acceptedOf('b')]).toEqual([3, 1])
    expect(typists.acked(6)).toEqual(['b', 'a'])
    expect([ledger.acceptedOf('a'), ledger.acceptedOf('b')]).toEqual([4, 2])
    expect(() => typists.acked(7)).toThrow(RangeError)
  }))

test('after any crash the relay’s position alone tells each one where to go on, whatever it had sent', () =>
  withSql(async (sql, sync) => {
    const script: [string, string][] = [
      ['a', 'one '],
      ['b', 'zwei '],
      ['a', 'two '],
      ['c', 'trois '],
      ['a', 'three '],
    ]
    const whole = script.map(([, text]) => text).join('')
    for (let crashAt = 0; crashAt <= whole.length; crashAt++) {
      sql.exec('DELETE FROM typists')
      sql.exec('DELETE FROM segments')
      const before = relay(sql, sync)
      before.typists.linkUp({ inOffset: 0, creditBytes: 1000 })
      const positions = new Map<string, number>()
      for (const [client, text] of script) {
        const at = positions.get(client) ?? 0
        before.typists.take(client, { offset: at, bytes: bytes(text) })
        positions.set(client, at + text.length)
      }
      while (before.sent.length < script.length) await tick()
      before.typists.acked(Math.floor(crashAt / 2))
      const after = relay(sql, sync)
      after.typists.linkUp({ inOffset: crashAt, creditBytes: 1000 })
      const expected = new Map<string, number>()
      let left = crashAt
      for (const [client, text] of script) {
        expected.set(client, (expected.get(client) ?? 0) + Math.min(left, text.length))
        left -= Math.min(left, text.length)
      }
      for (const [client, position] of expected)
        expect([crashAt, client, after.ledger.acceptedOf(client)]).toEqual([crashAt, client, position])
    }
  }))

test('credit bounds what is sent, the window what is held', () =>
  withSql(async (sql, sync) => {
    const { sent, typists } = relay(sql, sync)
    typists.linkUp({ inOffset: 0, creditBytes: 3 })
    expect(typists.take('a', { offset: 0, bytes: bytes('abcdef') })).toBe('taken')
    await expect.poll(() => sent).toEqual(['0:abc'])
    typists.addCredit(2)
    expect(sent).toEqual(['0:abc', '3:de'])
    expect(typists.take('a', { offset: 6, bytes: new Uint8Array(VIEW_INPUT_WINDOW_BYTES) })).toBe('ahead')
    typists.linkDown()
    typists.linkUp({ inOffset: 4, creditBytes: 100 })
    expect(typists.take('a', { offset: 4, bytes: bytes('ef') })).toBe('taken')
    await expect.poll(() => sent.at(-1)).toBe('4:ef')
  }))

test('a tape keeps the latest output by offset across memories, in few rows, and says where bytes are gone', () =>
  withSql((sql) => {
    let tape = openTape(sql)
    let at = 0
    const byteAt = (offset: number) => (offset * 31 + (offset >> 8)) & 255
    const write = (size: number) => {
      tape.append(Uint8Array.from({ length: size }, (_, i) => byteAt(at + i)))
      at += size
    }
    for (let i = 0; i < 3000; i++) write(1 + (i % 5))
    expect(sql.exec<{ n: number }>('SELECT count(*) AS n FROM chunks').one().n).toBeLessThan(5)
    tape = openTape(sql)
    for (let i = 0; i < 12; i++) write(200_000)
    tape = openTape(sql)
    expect(tape.nextOffset()).toBe(at)
    expect(at - tape.firstOffset()).toBeGreaterThan(TAPE_BYTES_MAX - 210_000)
    expect(at - tape.firstOffset()).toBeLessThanOrEqual(TAPE_BYTES_MAX)
    let offset = 0
    while (offset < at) {
      const run = tape.read(offset, 70_001)
      if (offset === 0) expect(run?.offset).toBe(tape.firstOffset())
      else expect(run?.offset).toBe(offset)
      expect(run?.bytes.every((byte, i) => byte === byteAt((run.offset ?? 0) + i))).toBe(true)
      offset = (run?.offset ?? 0) + (run?.bytes.length ?? 0)
    }
    expect(tape.read(at, 10)).toBeUndefined()
    tape.skipTo(at + 50)
    tape.append(Uint8Array.of(1))
    tape = openTape(sql)
    expect(tape.read(at, 10)).toMatchObject({ offset: at + 50 })
    expect(tape.nextOffset()).toBe(at + 51)
  }))
