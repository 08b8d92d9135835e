import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Awareness, encodeAwarenessUpdate } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { followPresence } from '../../src/client/presence.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

const started: Awareness[] = []
afterEach(() => {
  for (const awareness of started.splice(0)) awareness.destroy()
})

function client(name: string) {
  const awareness = new Awareness(new Y.Doc())
  started.push(awareness)
  const sent: Uint8Array[] = []
  const presence = followPresence({ awareness, send: (update) => sent.push(update) })
  presence.open()
  awareness.setLocalState({ name })
  return { awareness, sent, presence, id: awareness.clientID }
}

/** Time passes: y-protocols keeps the clock it was loaded with, so what it remembers is moved back. */
function pass(seconds: number, ...awarenesses: readonly Awareness[]): void {
  for (let s = 0; s < seconds; s++) {
    for (const { meta } of awarenesses) for (const [id, known] of meta) meta.set(id, { ...known, lastUpdated: known.lastUpdated - 1_000 })
    vi.advanceTimersByTime(1_000)
  }
}

const names = ({ awareness }: ReturnType<typeof client>) => [...awareness.getStates().values()].map((state) => state['name']).sort()

test('idle clients send nothing, and see each other for as long as their connection lives', () => {
  const [ada, bob] = [client('ada'), client('bob')]
  ada.presence.hear(bob.sent[0]!)
  bob.presence.hear(ada.sent[0]!)
  pass(120, ada.awareness, bob.awareness)
  expect([ada.sent.length, bob.sent.length]).toEqual([1, 1])
  expect([names(ada), names(bob)]).toEqual([
    ['ada', 'bob'],
    ['ada', 'bob'],
  ])
  bob.awareness.setLocalState({ name: 'bob', at: 1 })
  expect(bob.sent).toHaveLength(2)
  ada.presence.hear(bob.sent[1]!)
  expect(ada.awareness.getStates().get(bob.id)).toEqual({ name: 'bob', at: 1 })
})

test('a connection that is gone vouches for nobody', () => {
  const [ada, bob] = [client('ada'), client('bob')]
  ada.presence.hear(bob.sent[0]!)
  ada.presence.lose(true)
  pass(27, ada.awareness)
  expect(names(ada)).toEqual(['ada', 'bob'])
  pass(9, ada.awareness)
  expect(names(ada)).toEqual(['ada'])
  ada.presence.open()
  bob.awareness.setLocalState({ name: 'bob', at: 1 })
  ada.presence.hear(bob.sent[1]!)
  ada.presence.lose(false)
  expect(names(ada)).toEqual(['ada'])
})

test('what the room renews in one’s name changes nothing here, and its end is answered', () => {
  const ada = client('ada')
  const old = new Awareness(new Y.Doc())
  started.push(old)
  old.clientID = ada.id
  for (let clock = 0; clock < 5; clock++) old.setLocalState({ name: 'old' })
  ada.presence.hear(encodeAwarenessUpdate(old, [ada.id]))
  expect(ada.awareness.getLocalState()).toEqual({ name: 'ada' })
  const ended = new Map(old.states)
  ended.delete(ada.id)
  ada.presence.hear(encodeAwarenessUpdate(old, [ada.id], ended))
  expect(ada.awareness.getLocalState()).toEqual({ name: 'ada' })
  expect(ada.sent).toHaveLength(2)
})
