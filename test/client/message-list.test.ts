import { expect, test } from 'vitest'
import { createMessageList } from '../../src/client/message-list.ts'
import type { UserId } from '../../src/contract/identity.ts'
import type { MessageEvent } from '../../src/contract/room-messages.ts'

const at = (seq: number) => ({ seq, at: 1_000 * seq, userId: 'usr_ada' as UserId, cid: `cid-${seq}` })
const post = (seq: number): MessageEvent => ({ ...at(seq), kind: 'post', text: `text ${seq}` })
const edit = (seq: number, message: number): MessageEvent => ({ ...at(seq), kind: 'edit', message, text: `edited by ${seq}` })
const react = (seq: number, message: number): MessageEvent => ({ ...at(seq), kind: 'react', message, emoji: '🍵' })
const remove = (seq: number, message: number): MessageEvent => ({ ...at(seq), kind: 'delete', message })

/** A list that begins with these events. */
function listOf(...events: readonly MessageEvent[]) {
  const list = createMessageList()
  for (const event of events) list.apply(event)
  return list
}
const linesOf = (list: ReturnType<typeof createMessageList>) =>
  list
    .all()
    .map(({ seq, text, isEdited, isDeleted, reactions }) =>
      [seq, isDeleted ? 'deleted' : text, ...(isEdited ? ['edited'] : []), ...reactions.map(({ emoji }) => emoji)].join(' '),
    )

test('what was done to a message before it is known counts once it is, in its order', () => {
  const list = listOf(react(4, 1), edit(5, 2), remove(6, 3), post(7), edit(8, 2))
  expect(linesOf(list)).toEqual(['7 text 7'])
  list.prepend([post(1), post(2), post(3)])
  expect(linesOf(list)).toEqual(['1 text 1 🍵', '2 edited by 8 edited', '3 deleted', '7 text 7'])
  list.apply(react(9, 2))
  expect(linesOf(list)[1]).toBe('2 edited by 8 edited 🍵')
})

test('changes wait through any number of pages, and are forgotten with the list', () => {
  const list = listOf(post(7), react(8, 1))
  list.prepend([edit(5, 1), post(6)])
  list.prepend([post(3), remove(4, 3)])
  expect(linesOf(list)).toEqual(['3 deleted', '6 text 6', '7 text 7'])
  list.prepend([post(1), post(2)])
  expect(linesOf(list)[0]).toBe('1 edited by 5 edited 🍵')
  list.clear()
  list.prepend([post(1)])
  expect(linesOf(list)).toEqual(['1 text 1'])
})

test('older messages expire first', () => {
  const list = listOf(post(7))
  list.keepFor(10)
  list.prepend([post(1), post(2)])
  expect(list.expire(11_500)).toBe(12_000)
  expect(linesOf(list)).toEqual(['2 text 2', '7 text 7'])
})
