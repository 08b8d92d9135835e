import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SHELLS_PER_USER_MAX } from '../../src/contract/shell.ts'
import { startEdge } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { hostBody, problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

const PER_ORG = SHELLS_PER_USER_MAX + 2
const PER_HOST = SHELLS_PER_USER_MAX + 1
const TOKEN = randomBytes(24).toString('base64url')

describeWith('sshd', 'live shells of one user, of one host and of one organisation', () => {
  let rig: Rig
  beforeAll(async () => {
    const month = {
      SHELL_MINUTES_PER_MONTH: '10',
      SHELL_MEGABYTES_PER_MONTH: '1',
      SHELLS_PER_ORG: String(PER_ORG),
      SHELLS_PER_HOST: String(PER_HOST),
    }
    const LIMITS = 'register=1000/60 mail=1000/60 code=1000/60 login-place=1000/60 scan=3/3600'
    rig = await startRig({ vars: { ...month, LIMITS, METRICS_TOKEN: TOKEN } })
  })
  afterAll(() => rig.stop())

  test('scans are counted for the organisation, whoever of it asks, and for no other', async () => {
    const second = await rig.member('owner')
    const params = { orgId: rig.org.id }
    const body = { address: '127.0.0.1', port: rig.sshd.port }
    const scan = (client = rig.owner.client, at = params) => client.scanHost({ params: at, body })
    for (const client of [rig.owner.client, second.client, rig.owner.client]) expect((await scan(client)).keys).toHaveLength(1)
    for (const client of [rig.owner.client, second.client]) expect(await problemOf(scan(client))).toMatchObject({ slug: 'rate-limited' })
    const other = await second.client.createOrg({ body: { name: 'Elsewhere' } })
    expect((await scan(second.client, { orgId: other.id })).keys).toHaveLength(1)
  })

  test('fifty opened at once are as many as allowed, and each that ends makes room', async () => {
    const attempts = await Promise.allSettled(
      Array.from({ length: 50 }, () => rig.owner.client.openShell({ body: { hostId: rig.host.id } })),
    )
    const opened = attempts.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []))
    const refused = attempts.flatMap((a) => (a.status === 'rejected' ? [String(a.reason)] : []))
    expect(opened.length).toBeLessThanOrEqual(SHELLS_PER_USER_MAX)
    expect(new Set(refused)).toEqual(new Set(['Problem: A limit is reached; remove something first.']))
    expect(opened.length + refused.length).toBe(50)
    expect(opened.length).toBe(SHELLS_PER_USER_MAX)
    const exec = () => rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'true' } })
    expect(await problemOf(exec())).toMatchObject({ slug: 'limit-reached' })
    await Promise.all(opened.map(({ id }) => rig.owner.client.closeShell({ params: { shellId: id } })))
    expect(await exec()).toMatchObject({ exitCode: 0 })
    const { results } = await rig.edge.db.prepare("SELECT count(*) AS n FROM audit_entries WHERE action = 'shell.open'").all()
    expect(results).toEqual([{ n: opened.length }])
  }, 90_000)

  test('one that nobody ever looks at detaches by itself', async () => {
    const shell = await rig.owner.client.openShell({ body: { hostId: rig.host.id } })
    expect(shell.state).toBe('open')
    await until(async () => (await rig.owner.client.getShell({ params: { shellId: shell.id } })).state === 'detached')
    await rig.owner.client.closeShell({ params: { shellId: shell.id } })
    expect(await rig.owner.client.getShell({ params: { shellId: shell.id } })).toMatchObject({ state: 'closed' })
  })

  test('one into which nobody types, and one that has lived its time, end for the reason that its host gives', async () => {
    const limit = (column: 'idle_timeout_seconds' | 'max_duration_seconds', seconds: number | null) =>
      rig.edge.db.prepare(`UPDATE hosts SET ${column} = ? WHERE id = ?`).bind(seconds, rig.host.id).run()
    await limit('idle_timeout_seconds', 2)
    const screen = screenOf()
    const idle = await rig.owner.client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
    await screen.until('$ ')
    // Output alone does not keep it.
    idle.write('while sleep 0.3; do echo tick; done\n')
    expect(await idle.finished()).toMatchObject({ state: 'closed', reason: expect.stringContaining('Nobody typed') })
    await limit('idle_timeout_seconds', null)
    await limit('max_duration_seconds', 2)
    const mortal = await rig.owner.client.shells.open({ body: { hostId: rig.host.id } }, { output: () => undefined })
    const typing = setInterval(() => mortal.write('true\n'), 200)
    const end = await mortal.finished()
    clearInterval(typing)
    expect(end).toMatchObject({ state: 'closed', reason: expect.stringContaining('It lived as long as its host') })
    await limit('max_duration_seconds', null)
  })

  test('a host has as many as the deployment lets it, whoever comes; another host has places of its own', async () => {
    const operator = await rig.member('operator')
    const body = { ...hostBody(rig.sshd), name: 'web-2' }
    const other = await rig.owner.client.createHost({ params: { orgId: rig.org.id }, body })
    await rig.edge.db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < ${10 + PER_HOST - 2})
         INSERT INTO shell_commands (id, org_id, host_id, user_id, command, state, timeout_seconds, started_at)
         SELECT 'shl_running' || i, ?, ?, ?, 'x', 'running', 3600, ? FROM n`,
      )
      .bind(rig.org.id, rig.host.id, rig.owner.id, Date.now())
      .run()
    const open = () => operator.client.openShell({ body: { hostId: rig.host.id } })
    const attempts = await Promise.allSettled([open(), open(), open()])
    const opened = attempts.flatMap((one) => (one.status === 'fulfilled' ? [one.value.id] : []))
    expect(opened).toHaveLength(1)
    const exec = (hostId = rig.host.id) => operator.client.execCommand({ params: { hostId }, body: { command: 'true' } })
    expect(await problemOf(exec())).toMatchObject({ slug: 'limit-reached' })
    expect(await exec(other.id)).toMatchObject({ exitCode: 0 })
    for (const shellId of opened) await operator.client.closeShell({ params: { shellId } })
    expect(await exec()).toMatchObject({ exitCode: 0 })
    await rig.edge.db.prepare("DELETE FROM shell_commands WHERE id LIKE 'shl_running%'").run()
  })

  test('an organisation has as many as the deployment lets it, whoever of it comes', async () => {
    const usage = () => rig.owner.client.getShellUsage({ params: { orgId: rig.org.id } })
    const operator = await rig.member('operator')
    const open = (user = operator) => user.client.openShell({ body: { hostId: rig.host.id } })
    await rig.edge.db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < ${10 + PER_ORG - 3})
         INSERT INTO shells (id, org_id, host_id, user_id, state, created_at, updated_at)
         SELECT 'shl_planted' || i, ?, 'hst_planted', ?, 'detached', ?, ? FROM n`,
      )
      .bind(rig.org.id, rig.owner.id, Date.now(), Date.now())
      .run()
    const attempts = await Promise.allSettled([open(), open(), open(), open()])
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
    for (const one of attempts) if (one.status === 'rejected') expect(one.reason).toMatchObject({ slug: 'limit-reached' })
    expect(await usage()).toMatchObject({ live: PER_ORG, liveMax: PER_ORG, minutesMax: 10, bytesMax: 1_000_000 })
    await rig.edge.db.prepare("DELETE FROM shells WHERE id LIKE 'shl_planted%'").run()
    for (const one of attempts) if (one.status === 'fulfilled') await operator.client.closeShell({ params: { shellId: one.value.id } })
    await rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'head -c 600000 /dev/zero' } })
    const { bytes, live, month } = await usage()
    expect({ live, month }).toEqual({ live: 0, month: new Date().toISOString().slice(0, 7) })
    expect(bytes).toBeGreaterThanOrEqual(600_000)
    const answer = await rig.edge.request('/metrics', { headers: { authorization: `Bearer ${TOKEN}` } })
    const text = await answer.text()
    expect(text).toContain('parvis_shells{state="open"} 0\n')
    expect(text).toContain(`parvis_shell_output_bytes_month ${bytes}\n`)
    // One command may go beyond; the next does not begin, and says why.
    const exec = () => rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'head -c 600000 /dev/zero' } })
    await exec()
    expect(await problemOf(exec())).toMatchObject({ slug: 'quota-reached' })
    await rig.edge.db.prepare('UPDATE shell_usage SET bytes = 0, seconds = 600').run()
    expect(await problemOf(open())).toMatchObject({ slug: 'quota-reached' })
    await rig.edge.db.prepare('UPDATE shell_usage SET seconds = 0, month = month - 1').run()
    expect(await exec()).toMatchObject({ exitCode: 0 })
    expect(await problemOf((await rig.edge.signUp('stranger')).client.getShellUsage({ params: { orgId: rig.org.id } }))).toMatchObject({
      slug: 'not-found',
    })
  })
})

test('what a dead Worker or object left behind gets its last word from the sweep', async () => {
  const edge = await startEdge()
  try {
    const { client, id: userId } = await edge.signUp('owner')
    const { id: orgId } = await client.createOrg({ body: { name: 'Swept' } })
    const [old, fresh] = [Date.now() - 600_000, Date.now()]
    const shellId = (n: number) => `shl_0000000000000000000000000${n}`
    const shell = edge.db.prepare(
      "INSERT INTO shells (id, org_id, host_id, user_id, state, created_at, updated_at) VALUES (?, ?, 'hst_00000000000000000000000000', ?, 'connecting', ?4, ?4)".replaceAll(
        '?4',
        '?',
      ),
    )
    const command = edge.db.prepare(
      "INSERT INTO shell_commands (id, org_id, host_id, user_id, command, state, timeout_seconds, started_at) VALUES (?, ?, 'hst_00000000000000000000000000', ?, 'x', 'running', 30, ?)",
    )
    await edge.db.batch([
      shell.bind(shellId(1), orgId, userId, old, old),
      shell.bind(shellId(2), orgId, userId, fresh, fresh),
      command.bind(shellId(3), orgId, userId, old),
      command.bind(shellId(4), orgId, userId, fresh),
    ])
    await edge.worker.scheduled({ cron: '* * * * *' })
    const states = async (table: string) =>
      (await edge.db.prepare(`SELECT state FROM ${table} ORDER BY id`).all()).results.map((r) => r['state'])
    expect(await states('shells')).toEqual(['failed', 'connecting'])
    expect(await states('shell_commands')).toEqual(['unknown', 'running'])
    expect(await client.getShell({ params: { shellId: shellId(1) } })).toMatchObject({ reason: expect.stringContaining('cut off') })
  } finally {
    await edge.stop()
  }
})

test('without a relay everything about hosts works but reaching them, which says so', async () => {
  const edge = await startEdge()
  try {
    const { client } = await edge.signUp('owner')
    const org = await client.createOrg({ body: { name: 'Lonely' } })
    const scan = client.scanHost({ params: { orgId: org.id }, body: { address: 'example.org' } })
    expect(await problemOf(scan)).toMatchObject({ slug: 'unavailable', detail: 'No relay is configured.' })
    const ready = (await (await edge.request('/health/ready')).json()) as { dependencies: Record<string, object> }
    expect(ready.dependencies['relay']).toMatchObject({ ok: false, hard: false, detail: 'not configured' })
  } finally {
    await edge.stop()
  }
})
