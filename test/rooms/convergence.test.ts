import { afterAll, beforeAll, expect, test } from 'vitest'
import type * as Y from 'yjs'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { until } from '../until.ts'
import { FRAMINGS, type Typist } from './editors.ts'

/** `ROOMS_FUZZ=whole` runs the length at which such errors are looked for; otherwise a fifth. */
const IS_WHOLE = process.env['ROOMS_FUZZ'] === 'whole'
const SHARE = IS_WHOLE ? 1 : 0.2
const OPERATIONS = 1_500 * SHARE
const ABSENCES = 30 * SHARE
const CLIENTS = 8

/** Every seed that once was of use; `ROOMS_FUZZ_SEED` runs another, and the whole length one that nobody has seen. */
const SEEDS: readonly number[] = process.env['ROOMS_FUZZ_SEED']
  ? [Number(process.env['ROOMS_FUZZ_SEED'])]
  : [1, 20_261_101, ...(IS_WHOLE ? [475_640_761, 477_155_023, Date.now() % 2 ** 31] : [])]

const RUNS = Object.keys(FRAMINGS).flatMap((framing) => SEEDS.map((seed) => ({ framing: framing as keyof typeof FRAMINGS, seed })))

let edge: Edge
let ada: TestUser
beforeAll(async () => {
  // Every editor of our own client is a session of its own.
  edge = await startEdge({
    vars: { SESSIONS_PER_USER: '100', LIMITS: 'login=100000/60 login-place=100000/60 register=100000/60 mail=100000/60 code=100000/60' },
  })
  ada = await edge.signUp('ada')
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

type What = 'insert' | 'delete' | 'format' | 'push' | 'set' | 'kill' | 'offline' | 'meet'

interface Step {
  readonly who: number
  readonly what: What
  readonly at: number
  readonly value: number
}

const CHANGES: readonly What[] = ['insert', 'insert', 'insert', 'delete', 'format', 'push', 'set']

/** Of so many steps one is to wait until all who are here agree, so that changes meet others at every distance. */
const MEET_EVERY = 20

/** All that will happen, from the seed alone: only its timing differs between runs. */
function scriptOf(seed: number): readonly Step[] {
  const next = numbersFrom(seed)
  const step = (kinds: readonly What[]): Step => ({
    who: next(CLIENTS),
    what: kinds[next(kinds.length)] as What,
    at: next(1_000_000),
    value: next(1_000),
  })
  return Array.from({ length: OPERATIONS }, (_, i) => [
    step(CHANGES),
    ...(i % Math.floor(OPERATIONS / ABSENCES) === 0 ? [step(['kill', 'offline'])] : []),
    ...(next(MEET_EVERY) === 0 ? [step(['meet'])] : []),
  ]).flat()
}

function change({ doc }: Typist, { what, at, value }: Step): void {
  const text = doc.getText('t')
  const position = text.length === 0 ? 0 : at % text.length
  if (what === 'insert') text.insert(position, `${value} `)
  if (what === 'delete') text.delete(position, Math.min(3, text.length - position))
  if (what === 'format') text.format(position, Math.min(4, text.length - position), { bold: value % 2 === 0 ? true : null })
  if (what === 'push') doc.getArray('a').push([value])
  if (what === 'set') doc.getMap('m').set(`k${at % 7}`, value)
}

/** Keys of equal maps may differ in order. */
const contentOf = (doc: Y.Doc) =>
  JSON.stringify([doc.getText('t').toDelta(), doc.getArray('a').toJSON(), Object.entries(doc.getMap('m').toJSON()).sort()])

/** Runs a script; whoever went offline comes back with the next kill, or at the end. */
async function run(typists: readonly Typist[], script: readonly Step[]): Promise<void> {
  const offline = new Set<Typist>()
  const allBack = async () => {
    for (const one of offline) await one.comeBack()
    offline.clear()
  }
  const here = () => typists.filter((one) => !offline.has(one))
  const doTheyAgree = async () => here().every((one) => one.isSynced()) && new Set(here().map(({ doc }) => contentOf(doc))).size === 1
  await until(async () => typists.every((one) => one.isSynced()))
  for (const [i, step] of script.entries()) {
    const one = typists[step.who] as Typist
    if (step.what === 'kill') {
      await allBack()
      one.kill()
    } else if (step.what === 'offline') {
      if (!offline.has(one) && offline.size < CLIENTS - 1) {
        offline.add(one)
        one.goOffline()
      }
    } else if (step.what === 'meet') await until(doTheyAgree)
    else change(one, step)
    // Frames flow only when the loop turns.
    if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await allBack()
}

test.each(RUNS)(
  'editors of framing $framing converge through kills and offline spells (seed $seed)',
  { timeout: IS_WHOLE ? 180_000 : 60_000 },
  async ({ framing, seed }) => {
    const open = FRAMINGS[framing](edge, ada)
    const { id: roomId } = await ada.client.createRoom({ body: { name: 'room' } })
    const typists = await Promise.all(Array.from({ length: CLIENTS }, (_, nth) => open(roomId, nth)))
    try {
      await run(typists, scriptOf(seed))
      for (const [i, { doc }] of typists.entries()) doc.getMap('end').set(String(i), true)
      await until(async () => typists.every((one) => one.doc.getMap('end').size === CLIENTS && one.isSynced() && one.isSaved()))
      expect(new Set(typists.map(({ doc }) => contentOf(doc))).size).toBe(1)
      const { json } = await ada.client.getRoomDocument({ params: { roomId }, query: { format: 'json' } })
      expect(JSON.stringify(json)).toContain(JSON.stringify(typists[0]?.doc.getArray('a').toJSON()))
    } finally {
      for (const one of typists) one.stop()
    }
  },
)
