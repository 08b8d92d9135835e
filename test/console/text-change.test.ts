import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asShown, type Change, changeBetween, changesOf, documentOffset, moveSelection } from '../../src/console/browser/text-change.ts'

const apply = (text: string, { at, removed, inserted }: Change) => text.slice(0, at) + inserted + text.slice(at + removed)
/** Few letters, so that runs of equal ones are common; an emoji is two units. */
const text = fc.array(fc.constantFrom('a', 'b', '\n', '😀', '😁'), { maxLength: 12 }).map((units) => units.join(''))

describe('a change between two texts', () => {
  test('turns the one into the other, wherever the caret is, and cuts no surrogate pair', () => {
    fc.assert(
      fc.property(text, text, fc.nat(30), (before, after, caret) => {
        const change = changeBetween(before, after, caret)
        expect(change ? apply(before, change) : before).toBe(after)
        if (!change) return
        expect(change.inserted.isWellFormed()).toBe(true)
        expect(before.slice(change.at, change.at + change.removed).isWellFormed()).toBe(true)
      }),
    )
  })

  test('is where the caret says, in a run of equal letters', () => {
    expect(changeBetween('aaa', 'aaaa', 1)).toEqual({ at: 0, removed: 0, inserted: 'a' })
    expect(changeBetween('aaa', 'aaaa', 3)).toEqual({ at: 2, removed: 0, inserted: 'a' })
    expect(changeBetween('aaa', 'aa', 1)).toEqual({ at: 1, removed: 1, inserted: '' })
  })

  test('is no larger than what was typed', () => {
    fc.assert(
      fc.property(text, text, fc.nat(12), (before, typed, place) => {
        const at = Math.min(place, before.length)
        const after = before.slice(0, at) + typed + before.slice(at)
        const change = changeBetween(before, after, at + typed.length)
        expect((change?.inserted.length ?? 0) - (change?.removed ?? 0)).toBe(typed.length)
        if (before.isWellFormed() && after.isWellFormed()) expect(change?.removed ?? 0).toBeLessThanOrEqual(2)
      }),
    )
  })
})

describe('a selection under other people’s edits', () => {
  test('keeps exactly the characters it held', () => {
    fc.assert(
      fc.property(text, text, fc.nat(12), fc.nat(12), fc.nat(12), (before, inserted, a, b, place) => {
        const [start = 0, end = 0] = [Math.min(a, before.length), Math.min(b, before.length)].toSorted((x, y) => x - y)
        const at = Math.min(place, before.length)
        const moved = moveSelection({ start, end }, { at, removed: 0, inserted })
        const held = apply(before, { at, removed: 0, inserted }).slice(moved.start, moved.end)
        const isInside = at > start && at < end
        expect(held).toBe(isInside ? before.slice(start, at) + inserted + before.slice(at, end) : before.slice(start, end))
      }),
    )
  })

  test('a caret stays before what is inserted at its place', () => {
    expect(moveSelection({ start: 2, end: 2 }, { at: 2, removed: 0, inserted: 'xy' })).toEqual({ start: 2, end: 2 })
    expect(moveSelection({ start: 2, end: 2 }, { at: 1, removed: 0, inserted: 'xy' })).toEqual({ start: 4, end: 4 })
  })

  test('collapses when all it held is removed', () => {
    expect(moveSelection({ start: 2, end: 4 }, { at: 1, removed: 5, inserted: '' })).toEqual({ start: 1, end: 1 })
  })
})

test('a delta becomes changes, each against what the ones before it left', () => {
  const changes = changesOf([{ retain: 1 }, { insert: 'XY' }, { retain: 1 }, { delete: 2 }, { insert: 'Z' }])
  expect(changes.reduce(apply, 'abcd')).toBe('aXYbZ')
})

test('an offset of what is shown finds its place in a document with carriage returns', () => {
  const line = fc.array(fc.constantFrom('a', '\r\n', '\n', '\r', 'b'), { maxLength: 10 }).map((units) => units.join(''))
  fc.assert(
    fc.property(line, fc.nat(20), (whole, place) => {
      const shown = asShown(whole)
      const at = Math.min(place, shown.length)
      const offset = documentOffset(whole, at)
      expect(asShown(whole.slice(0, offset)) + asShown(whole.slice(offset))).toBe(shown)
      expect(asShown(whole.slice(0, offset))).toBe(shown.slice(0, at))
    }),
  )
})
