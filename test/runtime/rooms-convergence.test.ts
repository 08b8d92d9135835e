import { evictDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { readFrame, step1Frame, updateFrame } from '../../src/edge/rooms/framing.ts'
import { type Door, type Editor, editorIn, kill, leafOf, MAJORS, newRoom, type Room, rawIn, sameAs, seatOf, until } from './rooms-peer.ts'

/** What a document says, in an order of its own: keys of equal maps may differ in order. */
const contentOf = (doc: Y.Doc) =>
  JSON.stringify([doc.getText('t').toDelta(), doc.getArray('a').toJSON(), Object.entries(doc.getMap('m').toJSON()).sort()])

/** What somebody who knows nothing is told. */
async function readAll(room: Room): Promise<Y.Doc> {
  const reader = await rawIn(room, seatOf('reader', 'viewer'))
  reader.send(step1Frame(new Uint8Array([0])))
  const frame = await reader.frame(([type, kind]) => type === 0 && kind === 1)
  const doc = new Y.Doc()
  for (const message of readFrame(frame)) if (message.kind === 'step2') Y.applyUpdate(doc, message.update)
  reader.close()
  return doc
}

/** Takes the memory; a room that is out of memory already is woken first. */
async function hibernate(room: Room): Promise<void> {
  await room.ping()
  await evictDurableObject(room, { webSockets: 'hibernate' })
}

/** `ROOMS_FUZZ=whole` runs the length at which such errors are looked for. */
const {
  count: EDITORS,
  steps: STEPS,
  runs: RUNS,
} = env.ROOMS_FUZZ === 'whole' ? { count: 8, steps: 1_500, runs: 3 } : { count: 4, steps: 60, runs: 8 }
const WITHIN_MS = RUNS * STEPS * 125

type Step = { readonly who: number; readonly what: 'insert' | 'delete' | 'format' | 'push' | 'set' | 'drop' | 'sleep'; readonly at: number }

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(EDITORS - 1),
  what: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('insert', 'insert', 'delete', 'format', 'push', 'set') },
    { weight: 1, arbitrary: fc.constantFrom('drop', 'sleep') },
  ),
  at: fc.nat(10_000),
}) as fc.Arbitrary<Step>

function change({ doc, text }: Editor, { what, at, who }: Step): void {
  const position = text.length === 0 ? 0 : at % text.length
  if (what === 'insert') text.insert(position, `${who}${at} `)
  if (what === 'delete') text.delete(position, Math.min(3, text.length - position))
  if (what === 'format') text.format(position, Math.min(4, text.length - position), { bold: at % 2 === 0 ? true : null })
  if (what === 'push') doc.getArray('a').push([at])
  if (what === 'set') doc.getMap('m').set(`k${at % 7}`, at)
}

/** Where each editor sits: a door is looked for anew each time, since one over which a call died stays shut. */
const SEATINGS: Readonly<Record<string, (room: Room) => readonly Door[]>> = {
  'in the room': (room) => Array.from({ length: EDITORS }, () => room),
  'on leaves': (room) => [
    { fetch: (request) => sameAs(room).fetch(request) },
    ...Array.from({ length: EDITORS - 1 }, (_, i): Door => ({ fetch: (request) => leafOf(room, i % 2).fetch(request) })),
  ],
}

/** Takes the memory of something an editor stands on: of the room, or by the editor’s number of a leaf; on leaves it may also die. */
async function lay(room: Room, seating: string, { who, at }: Step): Promise<void> {
  if (seating === 'in the room') return hibernate(room)
  if (at % 2 === 0) await kill(who === 0 ? sameAs(room) : leafOf(room, who % 2))
  else if (who === 0) await hibernate(sameAs(room))
  else await evictDurableObject(leafOf(room, who % 2), { webSockets: 'hibernate' }).catch(() => undefined)
}

test.each(Object.keys(SEATINGS))(
  'editors of both majors %s converge through lost sockets, sleep and death, whatever they do',
  async (seating) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: 2 * STEPS }), async (steps) => {
        const room = newRoom()
        const doors = SEATINGS[seating]?.(room) ?? []
        const editors = doors.map((door, i) => editorIn(door, `editor${i}`, 'editor', { Provider: MAJORS[i % 2] })) as [Editor, ...Editor[]]
        try {
          for (const [i, s] of steps.entries()) {
            const editor = editors[s.who] as Editor
            if (s.what === 'drop') editor.provider.ws?.close()
            else if (s.what === 'sleep') await lay(room, seating, s)
            else change(editor, s)
            if (i % 9 === 0) await until([editor], () => editor.provider.synced)
          }
          for (const [i, { doc }] of editors.entries()) doc.getMap('end').set(String(i), true)
          await Promise.all(editors.map((e) => until([e], () => e.provider.synced && e.doc.getMap('end').size === editors.length)))
          const contents = editors.map(({ doc }) => contentOf(doc))
          expect(new Set([...contents, contentOf(await readAll(sameAs(room)))]).size).toBe(1)
        } finally {
          for (const editor of editors) editor.stop()
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
  },
  WITHIN_MS,
)

test('whatever bytes are sent as changes, the room in memory is the room on disk, and it goes on', async () => {
  const source = new Y.Doc()
  const pool: Uint8Array[] = []
  source.on('update', (update) => pool.push(update))
  source.getText('t').insert(0, 'some text', { bold: true })
  source.getText('t').delete(2, 3)
  source.getArray('a').push([1, { deep: ['x', null] }, new Uint8Array([1, 2])])
  source.getMap('m').set('xml', new Y.XmlElement('p'))
  source.getMap('m').set('sub', new Y.Doc())
  source.getMap('m').delete('xml')
  source.getText('t').format(0, 2, { bold: null, size: 3 })
  pool.push(Y.encodeStateAsUpdate(source))
  const hurt = fc
    .tuple(fc.constantFrom(...pool), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
    .map(([update, hits]) => {
      const copy = update.slice()
      for (const [at, byte] of hits) copy[at % copy.byteLength] = byte
      return copy
    })
  await fc.assert(
    fc.asyncProperty(fc.array(hurt, { minLength: 30, maxLength: 60 }), async (updates) => {
      const room = newRoom()
      const ada = editorIn(room, 'ada')
      ada.text.insert(0, 'ground')
      await until([ada], () => ada.provider.synced)
      for (const [i, update] of updates.entries()) {
        const mallory = await rawIn(room, seatOf(`mallory${i}`))
        mallory.send(updateFrame(update))
        await Promise.race([mallory.settled(), mallory.closed])
        mallory.close()
      }
      const live = await readAll(room)
      await hibernate(room)
      const revived = await readAll(room)
      expect(Y.encodeStateVector(revived)).toEqual(Y.encodeStateVector(live))
      expect(contentOf(revived)).toBe(contentOf(live))
      const bob = editorIn(room, 'bob')
      bob.doc.getMap('last').set('word', 'still here')
      await until([ada], () => ada.doc.getMap('last').get('word') === 'still here')
      ada.stop()
      bob.stop()
    }),
    { numRuns: 15, endOnFailure: true },
  )
}, 60_000)
