import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { UserId } from '../../src/contract/identity.ts'
import { idBytes, idFromBytes, newId } from '../../src/edge/platform/id.ts'
import { keyringOf } from '../../src/edge/platform/keyring.ts'

const root = (version: number) => ({ version, bytes: new Uint8Array(randomBytes(32)) })
const plain = new TextEncoder().encode('the plain text')
const [one, two] = [root(1), root(2)]

test('what an older secret sealed opens while it is listed, and no longer after', async () => {
  const box = await keyringOf([one]).seal('purpose', 'row-1', plain)
  expect(await keyringOf([two, one]).open('purpose', 'row-1', box)).toEqual(plain)
  await expect(keyringOf([two]).open('purpose', 'row-1', box)).rejects.toThrow()
})

test('a box opens only in its own row, for its own purpose, unchanged', async () => {
  const ring = keyringOf([one])
  const box = await ring.seal('purpose', 'row-1', plain)
  await expect(ring.open('purpose', 'row-2', box)).rejects.toThrow()
  await expect(ring.open('other', 'row-1', box)).rejects.toThrow()
  await expect(ring.open('purpose', 'row-1', `${box.slice(0, -2)}AA`)).rejects.toThrow()
  await expect(ring.open('purpose', 'row-1', 'nonsense')).rejects.toThrow()
})

test('sealing twice never gives the same box', async () => {
  const ring = keyringOf([one])
  expect(await ring.seal('purpose', 'row', plain)).not.toBe(await ring.seal('purpose', 'row', plain))
})

test('ids sort by time, fit their schema and survive being packed', () => {
  const ids = [1, 2, 1_000_000, Date.now(), Date.now() + 1, 2 ** 47].map((now) => newId('usr', now))
  expect([...ids].sort()).toEqual(ids)
  for (const id of ids) {
    expect(UserId.safeParse(id).success).toBe(true)
    expect(idFromBytes('usr', idBytes(id))).toBe(id)
  }
})
