import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as previous from '@hocuspocus/provider-v3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import type { RoomId } from '../../src/contract/rooms.ts'
import { type Edge, startEdge } from '../harness.ts'
import { until } from '../until.ts'
import { meet, type Person, QuietSocket } from './person.ts'

/** `ROOMS_FUZZ=whole` runs the length at which such errors are looked for; otherwise a fifth, on every seed that once was of use. */
const SHARE = process.env['ROOMS_FUZZ'] === 'whole' ? 1 : 0.2
const OPERATIONS = 1_500 * SHARE
const ABSENCES = 30 * SHARE
const CLIENTS = 8
const SEEDS = [1, 20_261_101]

type Kind = { HocuspocusProvider: typeof HocuspocusProvider; HocuspocusProviderWebsocket: typeof HocuspocusProviderWebsocket }
const MAJORS: readonly Kind[] = [{ HocuspocusProvider, HocuspocusProviderWebsocket }, previous as unknown as Kind]

let edge: Edge
let ada: Person
beforeAll(async () => {
  edge = await startEdge()
  ada = await meet(edge, 'ada')
})
afterAll(() => edge.stop())

/** The same numbers for the same seed (mulberry32). */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** An unmodified provider of one major or the other, with a document of its own. */
function editor(roomId: RoomId, nth: number) {
  const kind = MAJORS[nth % MAJORS.length] as Kind
  const doc = new Y.Doc()
  const websocketProvider = new kind.HocuspocusProviderWebsocket({
    url: new URL(`/v1/rooms/${roomId}/hocuspocus`, edge.origin.replace('http', 'ws')).href,
    WebSocketPolyfill: QuietSocket,
    delay: 100,
    minDelay: 50,
    maxDelay: 500,
  })
  const provider = new kind.HocuspocusProvider({ websocketProvider, name: roomId, document: doc, token: ada.accessToken })
  provider.attach()
  return { doc, text: doc.getText('t'), provider, websocketProvider }
}

type Editor = ReturnType<typeof editor>

/** Keys of equal maps may differ in order. */
const contentOf = ({ doc }: Editor) =>
  JSON.stringify([doc.getText('t').toDelta(), doc.getArray('a').toJSON(), Object.entries(doc.getMap('m').toJSON()).sort()])

function operate({ doc, text }: Editor, next: (below: number) => number): void {
  const at = text.length === 0 ? 0 : next(text.length)
  const what = next(5)
  if (what < 2) text.insert(at, `${next(1_000)} `)
  else if (what === 2) text.delete(at, Math.min(3, text.length - at))
  else if (what === 3) doc.getArray('a').push([next(1_000)])
  else doc.getMap('m').set(`k${next(7)}`, next(1_000))
}

/** Goes away: by a dead socket, which the provider notices, or by being offline, which it does itself and comes back from at the end. */
function leave({ websocketProvider }: Editor, next: (below: number) => number): boolean {
  const socket = websocketProvider.webSocket as unknown as WebSocket | null
  if (socket?.readyState !== WebSocket.OPEN) return false
  const isKill = next(2) === 0
  if (isKill) socket.terminate()
  else websocketProvider.disconnect()
  return !isKill
}

test.each(SEEDS)(
  'editors of both majors converge through kills and offline spells (seed %i)',
  { timeout: 60_000 * Math.max(1, 10 * SHARE) },
  async (seed) => {
    const next = numbersFrom(seed)
    const roomId = await ada.openRoom()
    const editors = Array.from({ length: CLIENTS }, (_, nth) => editor(roomId, nth))
    const offline = new Set<Editor>()
    const comeBack = async (one: Editor) => {
      offline.delete(one)
      await one.websocketProvider.connect()
    }
    const pick = () => editors[next(editors.length)] as Editor
    try {
      await until(async () => editors.every(({ provider }) => provider.synced))
      for (let i = 0; i < OPERATIONS; i++) {
        operate(pick(), next)
        if (i % Math.floor(OPERATIONS / ABSENCES) === 0) {
          const one = pick()
          if (leave(one, next)) offline.add(one)
          else for (const other of offline) await comeBack(other)
        }
        if (i % 10 === 0)
          await until(async () => editors.some((e) => !offline.has(e) && e.provider.synced && !e.provider.hasUnsyncedChanges))
      }
      for (const one of offline) await comeBack(one)
      for (const [i, { doc }] of editors.entries()) doc.getMap('end').set(String(i), true)
      await until(async () => editors.every(({ doc, provider }) => doc.getMap('end').size === CLIENTS && !provider.hasUnsyncedChanges))
      expect(new Set(editors.map(contentOf)).size).toBe(1)
      const { body } = await ada.send('GET', `/v1/rooms/${roomId}/document?format=json`)
      expect(JSON.stringify(body['json'])).toContain(JSON.stringify(editors[0]?.doc.getArray('a').toJSON()))
    } finally {
      for (const { provider, websocketProvider } of editors) {
        provider.destroy()
        websocketProvider.destroy()
      }
    }
  },
)
