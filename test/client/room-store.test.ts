import { expect, test } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { createRoomStore, NO_ROOM } from '../../src/react/room-store.ts'
import { until } from '../until.ts'

/** A room that says at once, as rooms do, that it is closed. */
function roomOf() {
  const listeners = new Map<string, Set<(value: unknown) => void>>()
  return {
    status: 'open',
    role: 'editor',
    isSynced: true,
    on(name: string, listener: (value: unknown) => void) {
      listeners.set(name, (listeners.get(name) ?? new Set()).add(listener))
      return () => void listeners.get(name)?.delete(listener)
    },
    close() {
      for (const listener of listeners.get('status') ?? []) listener('closed')
    },
  }
}

test('a room that is left is not shown again: who comes back begins anew', async () => {
  const client = { rooms: { join: async () => roomOf() } } as unknown as Client
  const store = createRoomStore(client, 'rm_x', undefined)
  const leave = store.subscribe(() => undefined)
  await until(async () => store.view().status === 'open')
  leave()
  await until(async () => store.view().status !== 'open')
  expect(store.view()).toEqual(NO_ROOM)
})
