import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuditBreak } from '../../src/contract/audit.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import { type Entry, hashOf, type Link, linkAfter } from '../../src/edge/audit/link.ts'
import { parseConfig } from '../../src/edge/platform/config.ts'
import { type Edge, rootSecret, startEdge, type TestUser } from '../harness.ts'
import { addEntries, asIntruder, foundOrg, sealerOf } from './record.ts'

let edge: Edge
let owner: TestUser
beforeAll(async () => {
  edge = await startEdge()
  owner = await edge.signUp('owner')
})
afterAll(() => edge.stop())

const verify = (orgId: OrgId, cursor?: string) => owner.client.verifyOrgAudit({ params: { orgId }, query: { cursor } })

interface Target {
  readonly orgId: OrgId
  /** Entry ids by place, from 1. */
  readonly ids: readonly number[]
}

/** An organisation with twelve sealed entries, every other id in between being the platform's. */
async function target(): Promise<Target> {
  const orgId = await foundOrg(edge, owner)
  await addEntries(edge, [null, orgId], 23)
  await sealerOf(edge).seal()
  const { results } = await edge.db
    .prepare('SELECT entry_id FROM audit_links WHERE chain = ? ORDER BY seq')
    .bind(orgId)
    .all<{ entry_id: number }>()
  expect(await verify(orgId)).toMatchObject({ status: 'intact', seq: 12, pending: 0 })
  return { orgId, ids: [0, ...results.map((r) => r.entry_id)] }
}

const at = ({ orgId }: Target, seq: number) => `chain = '${orgId}' AND seq = ${seq}`
const entry = ({ ids }: Target, seq: number) => `id = ${ids[seq]}`

type Kind = readonly [
  what: string,
  statements: (t: Target) => readonly string[],
  broken: (t: Target) => Partial<AuditBreak> & { reason: AuditBreak['reason']; seq: number },
]

const CHANGES: Record<string, string> = {
  at: 'at + 1',
  actor_id: "'usr_somebody'",
  action: "'org.read'",
  subject: "'thing'",
  cause: 'NULL',
  trace_id: "'f'",
  session_id: "'ses_other'",
  country: "'FR'",
}
const EDITS: readonly Kind[] = Object.entries(CHANGES).map(([column, value]) => [
  `edits ${column} of an entry`,
  (t) => [`UPDATE audit_entries SET ${column} = ${value} WHERE ${entry(t, 5)}`],
  (t) => ({ seq: 5, entryId: t.ids[5]!, reason: 'entry-changed' }),
])

const KINDS: readonly Kind[] = [
  ...EDITS,
  [
    'edits the newest entry',
    (t) => [`UPDATE audit_entries SET cause = 'x' WHERE ${entry(t, 12)}`],
    (t) => ({ seq: 12, entryId: t.ids[12]!, reason: 'entry-changed' }),
  ],
  [
    'edits the first entry',
    (t) => [`UPDATE audit_entries SET cause = 'x' WHERE ${entry(t, 1)}`],
    (t) => ({ seq: 1, entryId: t.ids[1]!, reason: 'entry-changed' }),
  ],
  [
    'removes an entry',
    (t) => [`DELETE FROM audit_entries WHERE ${entry(t, 7)}`],
    (t) => ({ seq: 7, entryId: t.ids[7]!, reason: 'entry-missing' }),
  ],
  [
    'gives an entry another id',
    (t) => [`UPDATE audit_entries SET id = 900000 + id WHERE ${entry(t, 7)}`],
    (t) => ({ seq: 7, entryId: t.ids[7]!, reason: 'entry-missing' }),
  ],
  [
    'moves an entry to another organisation',
    (t) => [`UPDATE audit_entries SET org_id = 'org_other' WHERE ${entry(t, 3)}`],
    (t) => ({ seq: 3, entryId: t.ids[3]!, reason: 'entry-moved' }),
  ],
  [
    'hides an entry in the platform',
    (t) => [`UPDATE audit_entries SET org_id = NULL WHERE ${entry(t, 3)}`],
    (t) => ({ seq: 3, entryId: t.ids[3]!, reason: 'entry-moved' }),
  ],
  [
    'slips in an entry that was sealed elsewhere',
    (t) => [`UPDATE audit_entries SET org_id = '${t.orgId}' WHERE id = ${t.ids[6]! - 1}`],
    (t) => ({ seq: 6, entryId: t.ids[6]! - 1, reason: 'entry-unlinked' }),
  ],
  [
    'slips in an entry before all others',
    (t) => [
      'DELETE FROM audit_entries WHERE id < 0',
      `INSERT INTO audit_entries (id, at, org_id, actor_id, action, subject, trace_id) VALUES (-7, 1, '${t.orgId}', 'a', 'b', 'c', 'd')`,
    ],
    () => ({ seq: 1, entryId: -7, reason: 'entry-unlinked' }),
  ],
  [
    'exchanges what two entries say',
    (t) => [
      `UPDATE audit_entries SET id = -1 WHERE ${entry(t, 4)}`,
      `UPDATE audit_entries SET id = ${t.ids[4]} WHERE ${entry(t, 5)}`,
      `UPDATE audit_entries SET id = ${t.ids[5]} WHERE id = -1`,
    ],
    (t) => ({ seq: 4, entryId: t.ids[4]!, reason: 'entry-changed' }),
  ],
  [
    'exchanges the places of two links',
    (t) => [
      `UPDATE audit_links SET seq = 999 WHERE ${at(t, 4)}`,
      `UPDATE audit_links SET seq = 4 WHERE ${at(t, 5)}`,
      `UPDATE audit_links SET seq = 5 WHERE ${at(t, 999)}`,
    ],
    (t) => ({ seq: 4, entryId: t.ids[5]!, reason: 'link-changed' }),
  ],
  ['removes a link', (t) => [`DELETE FROM audit_links WHERE ${at(t, 8)}`], (t) => ({ seq: 8, entryId: t.ids[8]!, reason: 'link-missing' })],
  [
    'removes a link with its entry',
    (t) => [`DELETE FROM audit_links WHERE ${at(t, 8)}`, `DELETE FROM audit_entries WHERE ${entry(t, 8)}`],
    () => ({ seq: 8, entryId: null, reason: 'link-missing' }),
  ],
  [
    'removes a link with its entry and moves the rest up',
    (t) => [
      `DELETE FROM audit_links WHERE ${at(t, 8)}`,
      `DELETE FROM audit_entries WHERE ${entry(t, 8)}`,
      ...[9, 10, 11, 12].map((seq) => `UPDATE audit_links SET seq = ${seq - 1} WHERE ${at(t, seq)}`),
    ],
    (t) => ({ seq: 8, entryId: t.ids[9]!, reason: 'link-changed' }),
  ],
  [
    'removes the first link and moves the rest up',
    (t) => [
      `DELETE FROM audit_links WHERE ${at(t, 1)}`,
      ...Array.from({ length: 11 }, (_, i) => `UPDATE audit_links SET seq = ${i + 1} WHERE ${at(t, i + 2)}`),
    ],
    (t) => ({ seq: 1, entryId: t.ids[2]!, reason: 'link-changed' }),
  ],
  [
    'edits the hash of a link',
    (t) => [`UPDATE audit_links SET hash = '${'e'.repeat(64)}' WHERE ${at(t, 9)}`],
    (t) => ({ seq: 9, entryId: t.ids[9]!, reason: 'link-forged' }),
  ],
  [
    'edits what a link hangs on',
    (t) => [`UPDATE audit_links SET prev_hash = '${'e'.repeat(64)}' WHERE ${at(t, 9)}`],
    (t) => ({ seq: 9, entryId: t.ids[9]!, reason: 'link-changed' }),
  ],
  [
    'edits the seal of a link',
    (t) => [`UPDATE audit_links SET mac = '1.${'A'.repeat(43)}' WHERE ${at(t, 9)}`],
    (t) => ({ seq: 9, entryId: t.ids[9]!, reason: 'link-forged' }),
  ],
  [
    'claims a secret that is not listed',
    (t) => [`UPDATE audit_links SET mac = '7.${'A'.repeat(43)}' WHERE ${at(t, 9)}`],
    (t) => ({ seq: 9, entryId: t.ids[9]!, reason: 'link-forged' }),
  ],
  [
    'breaks the form of a seal',
    (t) => [`UPDATE audit_links SET mac = '' WHERE ${at(t, 9)}`],
    (t) => ({ seq: 9, entryId: t.ids[9]!, reason: 'link-forged' }),
  ],
  [
    'points a link at another entry',
    (t) => [`UPDATE audit_links SET entry_id = 800000 + entry_id WHERE ${at(t, 9)}`],
    (t) => ({ seq: 9, entryId: 800_000 + t.ids[9]!, reason: 'entry-missing' }),
  ],
  [
    'takes the links off the end',
    (t) => [`DELETE FROM audit_links WHERE chain = '${t.orgId}' AND seq > 9`],
    (t) => ({ seq: 10, entryId: t.ids[10]!, reason: 'entry-unlinked' }),
  ],
  [
    'takes all links away',
    (t) => [`DELETE FROM audit_links WHERE chain = '${t.orgId}'`],
    (t) => ({ seq: 1, entryId: t.ids[1]!, reason: 'entry-unlinked' }),
  ],
  [
    'breaks it in two places: the first is named',
    (t) => [`UPDATE audit_entries SET cause = 'x' WHERE ${entry(t, 11)}`, `DELETE FROM audit_links WHERE ${at(t, 4)}`],
    (t) => ({ seq: 4, entryId: t.ids[4]!, reason: 'link-missing' }),
  ],
]

describe('whoever owns the database and', () => {
  test.each(KINDS)('%s is found out, at the very link', async (_, statements, broken) => {
    const t = await target()
    await asIntruder(edge, ...statements(t))
    const expected = broken(t)
    const verdict = await verify(t.orgId)
    expect(verdict).toMatchObject({ status: 'broken', broken: expected, seq: expected.seq - 1 })
    expect(verdict).not.toHaveProperty('nextCursor')
    expect(verdict).not.toHaveProperty('hash')
  })

  test.each([
    ['with no seal', undefined],
    ['sealed with a secret of their own', rootSecret()],
  ])('writes the chain anew from an edited entry, %s, is found out', async (_, secret) => {
    const t = await target()
    const { results } = await edge.db
      .prepare(
        `SELECT e.id, e.at, e.org_id AS orgId, e.actor_id AS actorId, e.action, e.subject, e.cause, e.trace_id AS traceId,
         e.session_id AS sessionId, e.country FROM audit_entries e WHERE e.id >= ? AND e.org_id = ? ORDER BY e.id`,
      )
      .bind(t.ids[6], t.orgId)
      .all<Entry>()
    const [before] = (await edge.db.prepare(`SELECT hash FROM audit_links WHERE ${at(t, 5)}`).all<{ hash: string }>()).results
    const { keyring } = parseConfig({ ...edge.settings, SECRET_KEYS: secret ?? rootSecret() })
    let head = { seq: 5, entryId: t.ids[5]!, hash: before!.hash }
    const updates: string[] = [`UPDATE audit_entries SET cause = 'nothing to see' WHERE ${entry(t, 6)}`]
    for (const old of results) {
      const said = old.id === t.ids[6] ? { ...old, cause: 'nothing to see' } : old
      const link: Link = await linkAfter(keyring, head, said)
      expect(link.hash).toBe(await hashOf(link, said))
      const mac = secret === undefined ? '' : link.mac
      updates.push(`UPDATE audit_links SET prev_hash = '${link.prevHash}', hash = '${link.hash}', mac = '${mac}' WHERE ${at(t, link.seq)}`)
      head = link
    }
    await asIntruder(edge, ...updates)
    expect(await verify(t.orgId)).toMatchObject({ broken: { seq: 6, entryId: t.ids[6], reason: 'link-forged' } })
  })

  test('takes links off the end and lets the chain go on is found out', async () => {
    const t = await target()
    await asIntruder(edge, `DELETE FROM audit_links WHERE chain = '${t.orgId}' AND seq > 9`)
    await addEntries(edge, t.orgId, 3)
    await sealerOf(edge).seal()
    expect(await verify(t.orgId)).toMatchObject({ broken: { seq: 10, entryId: t.ids[10], reason: 'entry-unlinked' } })
  })
})

test('a break in one chain is none in another', async () => {
  const [one, two] = [await target(), await target()]
  await asIntruder(edge, `UPDATE audit_entries SET cause = 'x' WHERE ${entry(one, 5)}`)
  expect(await verify(two.orgId)).toMatchObject({ status: 'intact', seq: 12 })
})

describe('a long chain', () => {
  let orgId: OrgId
  beforeAll(async () => {
    orgId = await foundOrg(edge, owner, 2500)
  })

  const walk = async () => {
    const verdicts = [await verify(orgId)]
    for (let cursor = verdicts[0]?.nextCursor; cursor !== undefined; cursor = verdicts.at(-1)?.nextCursor)
      verdicts.push(await verify(orgId, cursor))
    return verdicts
  }

  test('is walked by cursor, a bounded part at a time', async () => {
    const verdicts = await walk()
    expect(verdicts.map((v) => [v.seq, v.status])).toEqual([
      [1000, 'intact'],
      [2000, 'intact'],
      [2500, 'intact'],
    ])
  })

  test('shows a break when the walk comes by, at the border of two parts too', async () => {
    for (const seq of [2200, 1001, 1000]) {
      const [id] = (
        await edge.db.prepare('SELECT entry_id AS id FROM audit_links WHERE chain = ? AND seq = ?').bind(orgId, seq).all<{ id: number }>()
      ).results
      const { cause } = (await edge.db.prepare('SELECT cause FROM audit_entries WHERE id = ?').bind(id!.id).first<{ cause: string }>())!
      await asIntruder(edge, `UPDATE audit_entries SET cause = 'x' WHERE id = ${id!.id}`)
      const verdicts = await walk()
      expect(verdicts).toHaveLength(Math.ceil(seq / 1000))
      expect(verdicts.at(-1)?.broken).toEqual({ seq, entryId: id!.id, reason: 'entry-changed' })
      await asIntruder(edge, `UPDATE audit_entries SET cause = '${cause}' WHERE id = ${id!.id}`)
    }
  })

  test('shows that a place the walk had reached is not what it was', async () => {
    const { nextCursor } = await verify(orgId)
    const forged = Buffer.from(
      Buffer.from(nextCursor!, 'base64url')
        .toString()
        .replace(/[0-9a-f]$/, (c: string) => (c === '0' ? '1' : '0')),
    ).toString('base64url')
    expect(await verify(orgId, forged)).toMatchObject({ broken: { seq: 1000, reason: 'link-changed' } })
    await asIntruder(edge, `DELETE FROM audit_links WHERE chain = '${orgId}' AND seq = 1000`)
    expect(await verify(orgId, nextCursor)).toMatchObject({ broken: { seq: 1000, reason: 'link-missing' } })
    await asIntruder(edge, `DELETE FROM audit_links WHERE chain = '${orgId}' AND seq >= 1000`)
    expect(await verify(orgId, nextCursor)).toMatchObject({ broken: { seq: 1000, reason: 'truncated' } })
  })

  test.each(['x', 'MTAw', 'MTAwMC4x', Buffer.from(`1e3.5.${'a'.repeat(64)}`).toString('base64url'), 'a'.repeat(201)])(
    'takes no cursor that it did not give: %s',
    async (cursor) => {
      await expect(verify(orgId, cursor)).rejects.toMatchObject({ slug: 'invalid-request' })
    },
  )
})
