import { applyD1Migrations, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import type { HostId } from '../../src/contract/hosts.ts'
import type { SessionId } from '../../src/contract/identity.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import type { ShellId } from '../../src/contract/shell.ts'
import { objectScope } from '../../src/edge/platform/object-scope.ts'
import type { Kept } from '../../src/edge/shell/command.ts'
import { keepOutput } from '../../src/edge/shell/exec-recording.ts'
import { decodeChunk, keyOfChunk } from '../../src/edge/shell/recording-chunk.ts'
import type { ExecOrder } from '../../src/edge/shell/rpc.ts'
import { OPENER, TRACEPARENT } from './shell-peer.ts'

const ORG = 'org_command' as OrgId
const HOST = 'hst_command' as HostId

beforeAll(async () => {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
  await env.DB.batch([
    env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, 'a@b', '', 'en', 0)").bind(OPENER),
    env.DB.prepare("INSERT INTO orgs (id, name, created_at) VALUES (?, 'x', 0)").bind(ORG),
  ])
})

const orderOf = (shellId: ShellId): ExecOrder => ({
  shellId,
  orgId: ORG,
  userId: OPENER,
  sessionId: 'ses_opener' as SessionId,
  traceparent: TRACEPARENT,
  isConnectTold: false,
  command: 'true',
  timeoutSeconds: 10,
  env: {},
  stdin: '',
  isStrict: false,
  target: {
    hostId: HOST,
    name: 'web',
    kind: 'ssh',
    address: '192.0.2.1',
    port: 22,
    user: 'x',
    pins: [],
    algorithms: 'modern',
    keepaliveSeconds: 15,
    credentialKind: 'password',
    credential: '',
    jumps: [],
    idleSeconds: null,
    lifeSeconds: null,
  },
})

let commands = 0
/** A command as it stands on record before it begins; nobody here can take it to a relay. */
async function onRecord(): Promise<ExecOrder> {
  const order = orderOf(`shl_command${++commands}` as ShellId)
  const values = [order.shellId, ORG, HOST, OPENER]
  await env.DB.batch([
    env.DB.prepare(
      "INSERT INTO shell_commands (id, org_id, host_id, user_id, command, state, timeout_seconds, started_at, kind) VALUES (?, ?, ?, ?, 'true', 'running', 10, 1, 'exec')",
    ).bind(...values),
    env.DB.prepare(
      "INSERT INTO recordings (id, org_id, host_id, user_id, kind, columns, rows, started_at) VALUES (?, ?, ?, ?, 'exec', 80, 24, 1)",
    ).bind(...values),
  ])
  return order
}
const rowOf = (table: 'shell_commands' | 'recordings', { shellId }: ExecOrder) =>
  env.DB.prepare(`SELECT * FROM ${table} WHERE id = ?`).bind(shellId).first()
const objectOf = ({ shellId }: ExecOrder) => env.SHELLS.getByName(shellId)

/** What an object holds, when nothing is on its way any more. */
const held = (order: ExecOrder) =>
  runInDurableObject(objectOf(order), async (_, { storage }) => ({
    tables: storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray().length,
    alarm: await storage.getAlarm(),
  }))

/** The memory of a command goes after this has happened in it; then its alarm comes. */
async function dieAfter(order: ExecOrder, happened: (kept: Kept) => void): Promise<void> {
  await runInDurableObject(objectOf(order), (_, ctx) => happened(keepOutput(objectScope(ctx, env, TRACEPARENT), ctx, order)))
  await evictDurableObject(objectOf(order))
  await runDurableObjectAlarm(objectOf(order))
}

test('what is refused its place in the log never begins: it leaves no end there, and nothing in its object', async () => {
  const order = orderOf('shl_refused' as ShellId)
  const refused = async () => ({ slug: 'limit-reached', extras: {} }) as const
  expect(await objectOf(order).runCommand(order, refused)).toMatchObject({ slug: 'limit-reached' })
  expect([await rowOf('shell_commands', order), await rowOf('recordings', order)]).toEqual([null, null])
  expect(await held(order)).toEqual({ tables: 0, alarm: null })
})

test('whatever went wrong on the way is told when it is known whether the command is on record, and not before', async () => {
  const order = await onRecord()
  const { promise, resolve } = Promise.withResolvers<void>()
  let answered = false
  const running = objectOf(order).runCommand(order, async () => {
    await promise
    return { value: undefined }
  })
  running.then(() => {
    answered = true
  })
  // The way to a relay fails at once, for there is none.
  await new Promise((wake) => setTimeout(wake, 200))
  expect([answered, (await rowOf('shell_commands', order))?.['state']]).toEqual([false, 'running'])
  resolve()
  expect(await running).toMatchObject({ slug: 'unavailable' })
  expect(await rowOf('shell_commands', order)).toMatchObject({ state: 'failed', problem: 'unavailable' })
  await expect.poll(() => rowOf('recordings', order)).toBeNull()
  await expect.poll(() => held(order)).toEqual({ tables: 0, alarm: null })
})

test('a command of which nobody can say whether it is on record does not begin, and ends in the log if it is there', async () => {
  const order = await onRecord()
  const lost = async () => {
    throw new Error('storage is out')
  }
  expect(await objectOf(order).runCommand(order, lost)).toMatchObject({ slug: 'unavailable' })
  expect(await rowOf('shell_commands', order)).toMatchObject({ state: 'failed', problem: 'unavailable' })
})

test('a memory that goes after the relay was asked leaves a recording of what came, also when nothing did', async () => {
  const [silent, spoken] = [await onRecord(), await onRecord()]
  await dieAfter(silent, (kept) => kept.asked())
  expect(await rowOf('recordings', silent)).toMatchObject({ bytes: 0, chunks: 1, signed: expect.any(String) })
  await dieAfter(spoken, (kept) => {
    kept.asked()
    kept.tape.append(new TextEncoder().encode('out'))
    kept.keeper.took(0)
  })
  expect(await rowOf('recordings', spoken)).toMatchObject({ bytes: 3, chunks: 1, signed: expect.any(String) })
  const object = await env.RECORDINGS.get(keyOfChunk(ORG, spoken.shellId, 0))
  expect(new TextDecoder().decode(decodeChunk(await object!.arrayBuffer()).bytes)).toBe('out')
  expect(await held(spoken)).toEqual({ tables: 0, alarm: null })
})

test('a memory that goes after the end leaves what was recorded, with the time that it took', async () => {
  const order = await onRecord()
  await dieAfter(order, (kept) => {
    kept.asked()
    kept.keeper.end()
    kept.keeper.recorder.change({ endedMs: 1_234 })
  })
  expect(await rowOf('recordings', order)).toMatchObject({ duration_ms: 1_234, signed: expect.any(String) })
})

test('what the relay refused leaves no recording', async () => {
  const order = await onRecord()
  await dieAfter(order, (kept) => {
    kept.asked()
    kept.refused()
  })
  expect(await rowOf('recordings', order)).toBeNull()
  expect(await held(order)).toEqual({ tables: 0, alarm: null })
})
