import { applyD1Migrations, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import type { SessionId, UserId } from '../../src/contract/identity.ts'
import { encodeViewChunk, VIEW_WINDOW_BYTES } from '../../src/contract/viewer.ts'
import { objectScope } from '../../src/edge/platform/object-scope.ts'
import { applyRole, receive } from '../../src/edge/shell/exchange.ts'
import { openLive } from '../../src/edge/shell/live.ts'
import { createRecord, loadRecord, type ShellRecord } from '../../src/edge/shell/record.ts'
import { eraseShellsOf, exportShells } from '../../src/edge/shell/service.ts'
import { openTape } from '../../src/edge/shell/tape.ts'
import { askAgain } from '../../src/edge/shell/watching.ts'
import { OPENER, recordOf, TRACEPARENT, viewerOf } from './shell-peer.ts'

beforeAll(async () => {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
  await env.DB.batch([
    env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, 'a@b', '', 'en', 0)").bind(OPENER),
    env.DB.prepare("INSERT INTO orgs (id, name, created_at) VALUES ('org_test', 'x', 0)"),
    env.DB.prepare("INSERT INTO org_members (org_id, user_id, role, added_at) VALUES ('org_test', ?, 'owner', 0)").bind(OPENER),
    env.DB.prepare(
      "INSERT INTO sessions (id, user_id, mode, created_at, refreshed_at, idle_expires_at, expires_at) VALUES ('ses_opener', ?, 'bearer', 0, 0, ?1, ?1)".replaceAll(
        '?1',
        String(Date.now() + 3_600_000),
      ),
    ).bind(OPENER),
  ])
})

let shells = 0
/** An object that wakes with this record and this much output. */
async function shellWith(change: Partial<ShellRecord>, outputBytes = 0) {
  const shell = env.SHELLS.getByName(`shl_runtime${++shells}`)
  await runInDurableObject(shell, (_, ctx) => {
    createRecord(ctx.storage.sql, recordOf(change))
    const tape = openTape(ctx.storage.sql)
    for (let at = 0; at < outputBytes; at += 50_000) tape.append(Uint8Array.from({ length: 50_000 }, (_, i) => (at + i) % 251))
  })
  await evictDurableObject(shell)
  return shell
}
type Peer = Extract<Awaited<ReturnType<typeof viewerOf>>, { refused: undefined }>
async function attached(shell: Awaited<ReturnType<typeof shellWith>>, since?: number): Promise<Peer> {
  const viewer = await viewerOf(shell)
  if (viewer.refused !== undefined) throw new Error(`declined: ${viewer.refused}`)
  viewer.tell({ type: 'attach', ...(since === undefined ? {} : { since }) })
  await expect.poll(() => viewer.frames.length).toBeGreaterThan(0)
  return viewer
}

test('a viewer goes on where it was after the memory is gone, without a byte twice', async () => {
  const shell = await shellWith({}, 900_000)
  const viewer = await attached(shell)
  await expect.poll(() => viewer.receivedTo()).toBe(VIEW_WINDOW_BYTES)
  await evictDurableObject(shell, { webSockets: 'hibernate' })
  viewer.tell({ type: 'ack', offset: 300_000 })
  await expect.poll(() => viewer.receivedTo()).toBe(300_000 + VIEW_WINDOW_BYTES)
  await evictDurableObject(shell, { webSockets: 'hibernate' })
  viewer.tell({ type: 'ack', offset: 800_000 })
  await expect.poll(() => viewer.receivedTo()).toBe(900_000)
  let offset = 0
  for (const chunk of viewer.chunks) {
    expect(chunk.offset).toBe(offset)
    expect(chunk.bytes.every((byte, i) => byte === (chunk.offset + i) % 251)).toBe(true)
    offset += chunk.bytes.length
  }
})

test('a shell that is over shows its last output and its end to whoever comes, for an hour', async () => {
  const shell = await shellWith({ state: 'closed', endedAt: Date.now(), exit: { exitCode: 4, signal: null }, reason: 'Over.' }, 100_000)
  const viewer = await attached(shell, 99_990)
  await expect.poll(() => viewer.closed()).toEqual({ code: 1000, reason: 'closed' })
  expect(viewer.receivedTo()).toBe(100_000)
  expect(viewer.frames.map((frame) => frame.type)).toEqual(['hello', 'exit', 'state'])
  await runInDurableObject(shell, (_, ctx) => {
    const record = loadRecord(ctx.storage.sql)
    if (record) createRecord(ctx.storage.sql, { ...record, endedAt: Date.now() - 3_600_001 })
  })
  await evictDurableObject(shell)
  await runDurableObjectAlarm(shell)
  expect((await viewerOf(shell)).refused).toBe('not-found')
  await runInDurableObject(shell, (_, ctx) => expect(loadRecord(ctx.storage.sql)).toBeUndefined())
})

test('an object that never opened a shell keeps nothing and shows nothing', async () => {
  const shell = env.SHELLS.getByName('shl_never')
  expect((await viewerOf(shell)).refused).toBe('not-found')
  expect(await shell.reportState()).toBe(false)
  await shell.endShell({ reason: 'x', actorId: null })
  await runInDurableObject(shell, async (_, ctx) => {
    expect(ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray()).toEqual([])
    expect(await ctx.storage.getAlarm()).toBeNull()
  })
})

test('whoever is no member or has no live session is gone after the first look, whatever the Worker has read', async () => {
  const shell = await shellWith({})
  const stranger = await viewerOf(shell, { userId: 'usr_stranger' as UserId })
  const ended = await viewerOf(shell, { sessionId: 'ses_ended' as SessionId })
  const member = await attached(shell)
  if (stranger.refused !== undefined || ended.refused !== undefined) throw new Error('declined')
  await expect.poll(() => stranger.closed()).toEqual({ code: 4403, reason: 'forbidden' })
  await expect.poll(() => ended.closed()).toEqual({ code: 4401, reason: 'session-ended' })
  expect(member.closed()).toBeUndefined()
})

test('what is typed before a role was read goes nowhere: it is asked for once the role is read, and refused where that is another', async () => {
  const shell = await shellWith({ state: 'open' })
  const viewer = await attached(shell)
  await runInDurableObject(shell, async (_, ctx) => {
    const live = openLive(ctx, env)
    const [socket] = ctx.getWebSockets()
    if (!live || !socket) throw new Error('nobody is there')
    const typed: string[] = []
    const nothing = () => undefined
    const input = ({ bytes }: { readonly bytes: Uint8Array }) => void typed.push(new TextDecoder().decode(bytes))
    const rest = {
      ack: nothing,
      giveCredit: nothing,
      resize: nothing,
      endInput: nothing,
      close: nothing,
      isOpen: () => true,
      leave: nothing,
    }
    live.wire = { stream: { ...rest, input }, grantedOffset: 0, ackedOffset: 0, isSettling: false }
    live.typists.linkUp({ inOffset: 0, creditBytes: 1_000 })
    const type = () => receive(live, socket, encodeViewChunk({ offset: 0, bytes: new TextEncoder().encode('rm') }).buffer)
    live.unchecked.set(socket, false)
    type()
    await ctx.storage.sync()
    expect([live.ledger.typist(), live.unchecked.get(socket), typed]).toEqual([undefined, true, []])
    live.unchecked.delete(socket)
    askAgain(live)
    type()
    await expect.poll(() => typed).toEqual(['rm'])
    live.unchecked.set(socket, false)
    applyRole(live, OPENER, 'reader')
    type()
    expect(live.unchecked.get(socket)).toBe(false)
  })
  await expect
    .poll(() => viewer.frames.filter(({ type }) => type === 'resend' || type === 'refused'))
    .toEqual([
      { type: 'resend', inputOffset: 0 },
      { type: 'refused', what: 'input' },
    ])
})

test('a ticket works once, in every memory of the object', async () => {
  const shell = await shellWith({})
  const ticket = { jti: 'tkt_1', expiresAt: Date.now() + 30_000 }
  expect((await viewerOf(shell, { ticket })).refused).toBeUndefined()
  expect((await viewerOf(shell, { ticket })).refused).toBe('ticket-invalid')
  await evictDurableObject(shell)
  expect((await viewerOf(shell, { ticket })).refused).toBe('ticket-invalid')
})

test('a viewer whose token has run out is closed by its next message or by the alarm', async () => {
  const shell = await shellWith({}, 50_000)
  const [one, two] = [await viewerOf(shell, { expiresAt: Date.now() + 200 }), await viewerOf(shell, { expiresAt: Date.now() + 200 })]
  if (one.refused !== undefined || two.refused !== undefined) throw new Error('declined')
  await new Promise((resolve) => setTimeout(resolve, 250))
  one.tell({ type: 'attach' })
  await expect.poll(() => one.closed()?.code).toBe(4401)
  await runDurableObjectAlarm(shell)
  await expect.poll(() => two.closed()?.code).toBe(4401)
})

test('a shell whose relay stays away beyond its time has failed, and D1 hears of it', async () => {
  const shellId = `shl_runtime${shells + 1}`
  await env.DB.prepare(
    "INSERT INTO shells (id, org_id, host_id, user_id, state, version, created_at, updated_at) VALUES (?, 'org_test', 'hst_x', ?, 'detached', 1, 0, 0)",
  )
    .bind(shellId, OPENER)
    .run()
  const shell = await shellWith({ shellId: shellId as ShellRecord['shellId'], unlinkedAt: Date.now() - 700_000 })
  await runInDurableObject(shell, () => undefined)
  await runDurableObjectAlarm(shell)
  const state = () => env.DB.prepare('SELECT state, reason, closed_at FROM shells WHERE id = ?').bind(shellId).first()
  await expect
    .poll(state)
    .toMatchObject({ state: 'failed', reason: 'The relay could not be reached in time.', closed_at: expect.any(Number) })
  const { results } = await env.DB.prepare("SELECT cause FROM audit_entries WHERE action = 'shell.close' AND subject = ?")
    .bind(shellId)
    .all()
  expect(results).toEqual([{ cause: 'The relay could not be reached in time.' }])
})

test('a shell to which nobody came back in time is over, however often it was looked after', async () => {
  const ago = (seconds: number) => Date.now() - seconds * 1000
  const shell = await shellWith({ leftAt: ago(599), unlinkedAt: ago(2) })
  await runDurableObjectAlarm(shell)
  const recordNow = () => runInDurableObject(shell, (_, ctx) => loadRecord(ctx.storage.sql))
  expect(await recordNow()).toMatchObject({ state: 'detached', endedAt: null })
  await runInDurableObject(shell, (_, ctx) => {
    const record = loadRecord(ctx.storage.sql)
    if (record) createRecord(ctx.storage.sql, { ...record, leftAt: ago(601) })
  })
  await evictDurableObject(shell)
  await runDurableObjectAlarm(shell)
  expect(await recordNow()).toMatchObject({ state: 'closed', reason: 'Nobody came back in time, so it was ended.' })
})

test('a word that D1 could not take is told again by the alarm', async () => {
  const shellId = `shl_runtime${shells + 1}`
  await env.DB.prepare(
    "INSERT INTO shells (id, org_id, host_id, user_id, state, version, created_at, updated_at) VALUES (?, 'org_test', 'hst_x', ?, 'detached', 1, 0, 0)",
  )
    .bind(shellId, OPENER)
    .run()
  const shell = await shellWith({
    shellId: shellId as ShellRecord['shellId'],
    state: 'closed',
    endedAt: Date.now(),
    version: 2,
    reason: 'Over.',
  })
  await env.DB.exec('ALTER TABLE shells RENAME TO shells_away')
  await runDurableObjectAlarm(shell)
  await env.DB.exec('ALTER TABLE shells_away RENAME TO shells')
  const state = () => env.DB.prepare('SELECT state, reason FROM shells WHERE id = ?').bind(shellId).first()
  expect(await state()).toEqual({ state: 'detached', reason: null })
  await evictDurableObject(shell)
  await runDurableObjectAlarm(shell)
  expect(await state()).toEqual({ state: 'closed', reason: 'Over.' })
})

test('erasing a user ends and empties their shells and leaves their commands without a name', async () => {
  const userId = 'usr_erased' as UserId
  const shellId = `shl_runtime${shells + 1}` as ShellRecord['shellId']
  await env.DB.batch([
    env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, 'e@b', '', 'en', 0)").bind(userId),
    env.DB.prepare(
      "INSERT INTO shells (id, org_id, host_id, user_id, state, version, created_at, updated_at) VALUES (?, 'org_test', 'hst_x', ?, 'detached', 1, 0, 0)",
    ).bind(shellId, userId),
    env.DB.prepare(
      "INSERT INTO shell_commands (id, org_id, host_id, user_id, command, state, timeout_seconds, started_at) VALUES ('shl_c', 'org_test', 'hst_x', ?, 'id', 'done', 30, 0)",
    ).bind(userId),
  ])
  const shell = await shellWith({ shellId, userId }, 50_000)
  await runInDurableObject(env.SHELLS.getByName('eraser'), async (_, ctx) => {
    const scope = objectScope(ctx, env, TRACEPARENT)
    expect(await exportShells(scope, userId)).toMatchObject({ shells: [{ id: shellId }], commands: [{ command: 'id' }] })
    await eraseShellsOf(scope, userId)
    expect(await exportShells(scope, userId)).toEqual({ shells: [], recordings: [], runs: [], accessRequests: [], commands: [] })
  })
  await runInDurableObject(shell, (_, ctx) => expect(loadRecord(ctx.storage.sql)).toBeUndefined())
  expect(await env.DB.prepare("SELECT user_id, command FROM shell_commands WHERE id = 'shl_c'").first()).toEqual({
    user_id: null,
    command: 'id',
  })
  await env.DB.prepare('DELETE FROM users WHERE id = ?').bind(userId).run()
})
