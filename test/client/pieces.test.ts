import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { piecesOf } from '../../src/client/pieces.ts'

/** Numbers that are the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return Math.floor((state / 0x8000_0000) * below)
  }
}

/** A document that several people have written into at once, with everything that changes can be. */
function written(seed: number): Y.Doc {
  const pick = numbers(seed)
  const docs = Array.from({ length: 4 }, (_, i) => Object.assign(new Y.Doc(), { clientID: 100 - i }))
  for (let n = 0; n < 200; n++) {
    const doc = docs[pick(docs.length)] as Y.Doc
    const text = doc.getText('t')
    const at = pick(text.length + 1)
    const kind = pick(6)
    if (kind < 2) text.insert(at, `${n}😀`.repeat(1 + pick(80)))
    else if (kind === 2 && text.length > 0) text.delete(at % text.length, Math.min(3, text.length - (at % text.length)))
    else if (kind === 3) text.format(0, Math.min(5, text.length), { bold: n % 2 === 0 })
    else if (kind === 4) doc.getArray('a').insert(0, [n, { n }, new Y.Map([['of', n]])])
    else doc.getMap('m').set(`k${pick(10)}`, new Y.Text(`value ${n}`))
    if (pick(3) === 0) {
      const other = docs[pick(docs.length)] as Y.Doc
      Y.applyUpdate(other, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(other)))
    }
  }
  const whole = new Y.Doc()
  for (const doc of docs) Y.applyUpdate(whole, Y.encodeStateAsUpdate(doc))
  return whole
}

const contentOf = (doc: Y.Doc) => ({ text: doc.getText('t').toDelta(), list: doc.getArray('a').toJSON(), map: doc.getMap('m').toJSON() })

test.each([1, 2, 3, 4, 5])('a document in pieces is the same document, and no piece waits for a later one (%i)', (seed) => {
  const doc = written(seed)
  const pieces = [...piecesOf(Y.encodeStateAsUpdate(doc), 400)]
  expect(pieces.length).toBeGreaterThan(5)
  const copy = new Y.Doc()
  for (const piece of pieces) {
    expect(piece.byteLength).toBeLessThan(800)
    Y.applyUpdate(copy, piece)
    expect([copy.store.pendingStructs, copy.store.pendingDs]).toEqual([null, null])
  }
  expect(contentOf(copy)).toEqual(contentOf(doc))
  expect(Y.encodeStateVector(copy)).toEqual(Y.encodeStateVector(doc))
  doc.getText('t').insert(0, 'goes on')
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(copy)))
  expect(contentOf(copy)).toEqual(contentOf(doc))
})

test('what a peer lacks comes in pieces too', () => {
  const doc = written(6)
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  doc.getText('t').insert(3, '😀'.repeat(2_000))
  doc.getArray('a').push(Array.from({ length: 500 }, (_, i) => ({ i })))
  const pieces = [...piecesOf(Y.encodeStateAsUpdate(doc, Y.encodeStateVector(copy)), 1_000)]
  expect(pieces.length).toBeGreaterThan(10)
  for (const piece of pieces) Y.applyUpdate(copy, piece)
  expect(contentOf(copy)).toEqual(contentOf(doc))
})

test('an update that is small stays as it is', () => {
  const update = Y.encodeStateAsUpdate(written(7))
  expect([...piecesOf(update)]).toEqual([update])
})
