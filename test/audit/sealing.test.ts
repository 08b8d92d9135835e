import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OrgId } from '../../src/contract/orgs.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { addEntries, foundOrg, runCron, sealerOf, someOrgId, until } from './record.ts'

let edge: Edge
let owner: TestUser
beforeAll(async () => {
  edge = await startEdge()
  owner = await edge.signUp('owner')
})
afterAll(() => edge.stop())

/** For tests that start a Worker of their own or write thousands of entries on a busy machine. */
const LONG_MS = 120_000

interface Row {
  readonly id: number
  readonly chain: string
  readonly seq: number | null
}

/** Every entry with its place, and what breaks the promise that each has exactly one, in the order of ids. */
async function misplaced(db: D1Database): Promise<readonly Row[]> {
  const { results } = await db
    .prepare(
      "SELECT e.id, coalesce(e.org_id, 'platform') AS chain, l.seq FROM audit_entries e LEFT JOIN audit_links l ON l.entry_id = e.id ORDER BY e.id",
    )
    .all<Row>()
  const next = new Map<string, number>()
  return results.filter(({ chain, seq }) => {
    const expected = next.get(chain) ?? 1
    next.set(chain, expected + 1)
    return seq !== expected
  })
}

const verify = (orgId: OrgId) => owner.client.verifyOrgAudit({ params: { orgId } })

test('an entry is sealed soon after the answer, without waiting for the sweep', async () => {
  const { id: orgId } = await owner.client.createOrg({ body: { name: 'Prompt' } })
  const sealed = await until(async () => {
    const { items } = await owner.client.listOrgAudit({ params: { orgId } })
    return items[0]?.seq === null ? undefined : items[0]
  })
  expect(sealed).toMatchObject({ action: 'org.create', seq: 1, hash: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect(await verify(orgId)).toMatchObject({ status: 'intact', seq: 1, pending: 0 })
})

test('an entry that no request sealed is sealed by the sweep', async () => {
  const orgId = await foundOrg(edge, owner)
  await addEntries(edge, orgId, 1300)
  expect(await verify(orgId)).toMatchObject({ status: 'intact', seq: 1, pending: 1000 })
  await runCron(edge)
  expect(await owner.client.listOrgAudit({ params: { orgId }, query: { limit: 2 } })).toMatchObject({
    items: [{ seq: 1301 }, { seq: 1300 }],
  })
})

test(
  'fifty writers at once, with sealers among them, leave chains that verify',
  async () => {
    const others = await Promise.all([edge.signUp('writer'), edge.signUp('writer'), edge.signUp('writer')])
    const orgIds = await Promise.all(Array.from({ length: 5 }, () => foundOrg(edge, owner)))
    await edge.db
      .prepare(
        "INSERT INTO org_members (org_id, user_id, role, added_at) SELECT o.value, u.value, 'reader', 1 FROM json_each(?) AS o, json_each(?) AS u",
      )
      .bind(JSON.stringify(orgIds), JSON.stringify(others.map(({ id }) => id)))
      .run()
    const write = (i: number) => {
      const orgId = orgIds[i % orgIds.length]!
      const other = others[i % others.length]!
      const role = (['reader', 'operator', 'owner'] as const)[Math.floor(i / 15) % 3]!
      if (i % 5 === 0) return other.client.createRoom({ body: { name: `Room ${i}` } })
      return owner.client.putOrgMember({ params: { orgId, userId: other.id }, body: { role } })
    }
    const sealers = Array.from({ length: 8 }, () => sealerOf(edge).seal())
    const crons = Array.from({ length: 3 }, () => runCron(edge))
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => write(i)))
    await Promise.all([...sealers, ...crons])
    await sealerOf(edge).seal()
    expect(outcomes.filter((o) => o.status === 'fulfilled').length).toBeGreaterThan(40)
    expect(await misplaced(edge.db)).toEqual([])
    const verdicts = await Promise.all(orgIds.map(verify))
    expect(verdicts.map((v) => [v.status, v.pending])).toEqual(orgIds.map(() => ['intact', 0]))
    expect(Math.max(...verdicts.map((v) => v.seq))).toBeGreaterThan(3)
  },
  LONG_MS,
)

describe('where nobody else seals', () => {
  let quiet: Edge
  beforeAll(async () => {
    quiet = await startEdge()
  })
  afterAll(() => quiet.stop())

  test(
    'twenty sealers that race give every entry one link and every chain one end',
    async () => {
      const chains = [someOrgId(), someOrgId()]
      for (let round = 0; round < 3; round++) for (const chain of [...chains, null]) await addEntries(quiet, chain, 150)
      const sealed = await Promise.all(Array.from({ length: 20 }, () => sealerOf(quiet).seal()))
      expect(sealed.reduce((sum, n) => sum + n, 0)).toBe(3 * 3 * 150)
      expect(await misplaced(quiet.db)).toEqual([])
      for (const chain of chains) expect(await sealerOf(quiet).verify(chain)).toMatchObject({ status: 'intact', seq: 450 })
    },
    LONG_MS,
  )

  test('a sealer that comes late with an old plan writes nothing', async () => {
    const chain = someOrgId()
    await addEntries(quiet, chain, 10)
    const late = sealerOf(quiet)
    const plans = [await late.plan(), await late.plan(3)]
    expect(await sealerOf(quiet).seal()).toBe(10)
    for (const plan of plans) expect(await late.append(plan)).toBe(0)
    expect(await late.verify(chain)).toMatchObject({ status: 'intact', seq: 10 })
  })

  test('of plans of different length the first to be written holds, and the other sealer goes on behind it', async () => {
    const chain = someOrgId()
    await addEntries(quiet, chain, 10)
    const [short, long] = [await sealerOf(quiet).plan(4), await sealerOf(quiet).plan()]
    const written = await Promise.all([sealerOf(quiet).append(short), sealerOf(quiet).append(long)])
    expect(written.filter((n) => n > 0)).toHaveLength(1)
    await sealerOf(quiet).seal()
    expect(await misplaced(quiet.db)).toEqual([])
    expect(await sealerOf(quiet).verify(chain)).toMatchObject({ status: 'intact', seq: 10 })
  })

  test('a plan holds for the entries it read: one committed since keeps its turn', async () => {
    const chain = someOrgId()
    await addEntries(quiet, chain, 5)
    const slow = sealerOf(quiet)
    const plan = await slow.plan()
    await addEntries(quiet, chain, 5)
    expect(await slow.append(plan)).toBe(5)
    expect(await slow.verify(chain)).toMatchObject({ status: 'intact', seq: 5, pending: 5 })
    expect(await sealerOf(quiet).seal()).toBe(5)
    expect(await slow.verify(chain)).toMatchObject({ status: 'intact', seq: 10, pending: 0 })
  })
})

test('a rolled-back change leaves no gap that sealing would wait for', async () => {
  const orgId = await foundOrg(edge, owner)
  await addEntries(edge, orgId, 2)
  await expect(
    edge.db.batch([
      edge.db.prepare("INSERT INTO audit_entries (at, actor_id, action, subject, trace_id) VALUES (1, 'system', 'a.b', 's', 't')"),
      edge.db.prepare('INSERT INTO audit_entries (at) VALUES (1)'),
    ]),
  ).rejects.toThrow('NOT NULL')
  await addEntries(edge, orgId, 2)
  await sealerOf(edge).seal()
  expect(await verify(orgId)).toMatchObject({ status: 'intact', seq: 5, pending: 0 })
})

test.each([
  ['changes a link', "UPDATE audit_links SET hash = 'x'"],
  ['removes a link', 'DELETE FROM audit_links'],
  [
    'exchanges a link',
    "INSERT OR REPLACE INTO audit_links SELECT chain, seq, entry_id, prev_hash, 'x', mac FROM audit_links ORDER BY seq DESC LIMIT 1",
  ],
  ['forks a chain', "INSERT INTO audit_links SELECT chain, seq + 1, -1, prev_hash, 'x', mac FROM audit_links ORDER BY seq DESC LIMIT 1"],
  ['leaves out a place', "INSERT INTO audit_links SELECT chain, seq + 2, -1, hash, 'x', mac FROM audit_links ORDER BY seq DESC LIMIT 1"],
  [
    'takes an entry over into a new link',
    "INSERT OR REPLACE INTO audit_links SELECT chain, seq + 1, entry_id, hash, 'x', mac FROM audit_links ORDER BY seq DESC LIMIT 1",
  ],
  ['starts a chain in its middle', `INSERT INTO audit_links VALUES ('org_new', 2, -1, '${'0'.repeat(64)}', 'x', 'x')`],
])('the database itself refuses whoever %s', async (_, statement) => {
  await foundOrg(edge, owner, 2)
  await expect(edge.db.prepare(statement).run()).rejects.toThrow('append-only')
})

const links = async (db: D1Database) => (await db.prepare('SELECT count(*) AS n FROM audit_links').first<{ n: number }>())?.n ?? 0

test(
  'a sealer that fails in the middle has sealed a beginning, and the next one goes on from there',
  async () => {
    const own = await startEdge()
    try {
      await addEntries(own, null, 2300)
      await own.db
        .prepare(
          "CREATE TRIGGER out_of_order BEFORE INSERT ON audit_links WHEN NEW.seq = 1234 BEGIN SELECT RAISE(ABORT, 'no more today'); END",
        )
        .run()
      await runCron(own)
      expect(await links(own.db)).toBe(1000)
      expect(own.logs()).toContainEqual(expect.objectContaining({ event: 'sweep.failed', name: 'audit-seal' }))
      await own.db.prepare('DROP TRIGGER out_of_order').run()
      await runCron(own)
      expect(await misplaced(own.db)).toEqual([])
      expect(await sealerOf(own).verify('platform')).toMatchObject({ seq: 1000, nextCursor: expect.any(String) })
    } finally {
      await own.stop()
    }
  },
  LONG_MS,
)

test(
  'a Worker killed again and again while it seals loses and doubles nothing',
  async () => {
    const own = await startEdge()
    try {
      for (const afterMs of [60, 250, 700]) {
        await addEntries({ ...own, db: await own.reopenDb() }, null, 6000)
        const killed = runCron(own).catch(() => undefined)
        // While it seals nothing else is answered, so no event tells how far it is: the moments differ, the outcome must not.
        await new Promise((resolve) => setTimeout(resolve, afterMs))
        process.kill(workerdPids().at(-1)!, 'SIGKILL')
        await killed
        await until(async () => ((await own.request('/health/live').catch(() => undefined))?.ok ? true : undefined))
      }
      await runCron(own)
      const db = await own.reopenDb()
      expect(await links(db)).toBe(18_000)
      expect(await misplaced(db)).toEqual([])
    } finally {
      await own.stop()
    }
  },
  LONG_MS,
)

/** The processes that run the Worker; the last started is the one to kill. */
function workerdPids(): number[] {
  const list = execFileSync('ps', ['-o', 'pid=,ppid=,args=', '-e'], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  return list.filter(([, ppid, command]) => Number(ppid) === process.pid && command?.includes('workerd')).map(([pid]) => Number(pid))
}
