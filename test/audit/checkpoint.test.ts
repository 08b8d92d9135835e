import { decodeProtectedHeader, importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OrgId } from '../../src/contract/orgs.ts'
import { type Edge, ORIGIN, rootSecret, startEdge, type TestUser } from '../harness.ts'
import { addEntries, asIntruder, foundOrg, runCron, sealerOf } from './record.ts'

let edge: Edge
let owner: TestUser
beforeAll(async () => {
  edge = await startEdge()
  owner = await edge.signUp('owner')
})
afterAll(() => edge.stop())

/** For tests that start a Worker of their own or write thousands of entries on a busy machine. */
const LONG_MS = 120_000

const verify = (orgId: OrgId, checkpoint?: string) => owner.client.verifyOrgAudit({ params: { orgId }, query: { checkpoint } })
const checkpoints = async (orgId: OrgId) => (await owner.client.listOrgCheckpoints({ params: { orgId } })).items

/** Lets a day pass for one chain. */
async function aDayLater(orgId: OrgId): Promise<void> {
  await edge.db.prepare('UPDATE audit_chains SET due_at = 0 WHERE chain = ? AND due_at IS NOT NULL').bind(orgId).run()
  await runCron(edge)
}

/** An organisation with a checkpoint at place 10 and three entries since. */
async function checkpointed(): Promise<OrgId> {
  const orgId = await foundOrg(edge, owner, 10)
  await aDayLater(orgId)
  await addEntries(edge, orgId, 3)
  await sealerOf(edge).seal()
  expect(await verify(orgId)).toMatchObject({ status: 'intact', seq: 13, checkpointSeq: 10 })
  return orgId
}

const from = (orgId: OrgId, seq: number) => [
  `DELETE FROM audit_entries WHERE id IN (SELECT entry_id FROM audit_links WHERE chain = '${orgId}' AND seq >= ${seq})`,
  `DELETE FROM audit_links WHERE chain = '${orgId}' AND seq >= ${seq}`,
]

test('a chain that has grown is signed once a day, and one that has not is left alone', async () => {
  const orgId = await foundOrg(edge, owner, 4)
  await runCron(edge)
  expect(await checkpoints(orgId)).toEqual([])
  await aDayLater(orgId)
  await aDayLater(orgId)
  expect((await checkpoints(orgId)).map((c) => c.seq)).toEqual([4])
  await addEntries(edge, orgId, 2)
  await sealerOf(edge).seal()
  await aDayLater(orgId)
  expect((await checkpoints(orgId)).map((c) => c.seq)).toEqual([6, 4])
})

test('sweeps that race sign one and the same', async () => {
  const orgId = await foundOrg(edge, owner, 4)
  await edge.db.prepare('UPDATE audit_chains SET due_at = 0 WHERE chain = ?').bind(orgId).run()
  await Promise.all(Array.from({ length: 8 }, () => runCron(edge)))
  expect((await checkpoints(orgId)).map((c) => c.seq)).toEqual([4])
})

test('anybody can check a checkpoint with the public key that it names, and the log keeps a copy', async () => {
  const orgId = await foundOrg(edge, owner, 3)
  await aDayLater(orgId)
  const [checkpoint] = await checkpoints(orgId)
  const { kid } = decodeProtectedHeader(checkpoint!.signed)
  const key = await edge.client().getAuditKey({ params: { kid: kid! } })
  const { payload } = await jwtVerify(checkpoint!.signed, await importJWK(key as JWK, 'EdDSA'), {
    issuer: ORIGIN,
    typ: 'audit-checkpoint+jwt',
    algorithms: ['EdDSA'],
  })
  const { hash, seq } = await verify(orgId)
  expect(payload).toMatchObject({ chain: orgId, seq, hash })
  expect(checkpoint).toMatchObject({ seq, hash, kid })
  expect(edge.logs()).toContainEqual(expect.objectContaining({ event: 'audit.checkpoint', chain: orgId, seq, hash }))
  expect(JSON.stringify(edge.logs())).not.toContain(checkpoint!.signed)
})

test.each(['audit-2', 'audit-999999'])('a key of a secret that is not listed is nobody’s: %s', async (kid) => {
  await expect(edge.client().getAuditKey({ params: { kid } })).rejects.toMatchObject({ slug: 'not-found' })
})

test('cutting links and entries off the end is found out by the checkpoint', async () => {
  const orgId = await checkpointed()
  await asIntruder(edge, ...from(orgId, 8))
  expect(await verify(orgId)).toMatchObject({ status: 'broken', seq: 7, broken: { seq: 8, entryId: null, reason: 'truncated' } })
})

test('cutting everything away is found out by the checkpoint', async () => {
  const orgId = await checkpointed()
  await asIntruder(edge, ...from(orgId, 1))
  expect(await verify(orgId)).toMatchObject({ status: 'broken', seq: 0, broken: { seq: 1, reason: 'truncated' } })
})

test('cutting the end off and letting the chain grow past it is found out by the checkpoint', async () => {
  const orgId = await checkpointed()
  await asIntruder(edge, ...from(orgId, 8))
  await addEntries(edge, orgId, 8)
  await sealerOf(edge).seal()
  expect(await verify(orgId)).toMatchObject({ status: 'broken', seq: 9, broken: { seq: 10, reason: 'checkpoint-mismatch' } })
})

test('removing the stored checkpoints too does not help against one that an owner has kept', async () => {
  const orgId = await checkpointed()
  const [kept] = await checkpoints(orgId)
  await asIntruder(edge, ...from(orgId, 8), `DELETE FROM audit_checkpoints WHERE chain = '${orgId}'`)
  expect(await verify(orgId)).toMatchObject({ status: 'intact', checkpointSeq: null })
  expect(await verify(orgId, kept!.signed)).toMatchObject({ checkpointSeq: 10, broken: { seq: 8, reason: 'truncated' } })
  await addEntries(edge, orgId, 8)
  await sealerOf(edge).seal()
  expect(await verify(orgId, kept!.signed)).toMatchObject({ broken: { seq: 10, reason: 'checkpoint-mismatch' } })
})

test('a stored checkpoint that we did not sign is named, and hides no genuine one', async () => {
  const orgId = await checkpointed()
  const insert = (seq: number, kid: string, signed: string) =>
    edge.db.prepare("INSERT INTO audit_checkpoints VALUES (?, ?, ?, 'x', 1, ?)").bind(orgId, seq, kid, signed).run()
  await insert(12, 'audit-1', 'x.y.z')
  expect(await verify(orgId)).toMatchObject({ checkpointSeq: 10, broken: { seq: 12, reason: 'checkpoint-forged' } })
  await insert(40, 'audit-77', 'x.y.z')
  await asIntruder(edge, ...from(orgId, 8))
  expect(await verify(orgId)).toMatchObject({ broken: { seq: 8, reason: 'truncated' } })
})

test('a genuine checkpoint of another chain, or moved to another place, is named', async () => {
  const [orgId, other] = [await checkpointed(), await checkpointed()]
  await asIntruder(
    edge,
    `UPDATE audit_checkpoints SET signed = (SELECT signed FROM audit_checkpoints WHERE chain = '${other}') WHERE chain = '${orgId}'`,
  )
  expect(await verify(orgId)).toMatchObject({ broken: { seq: 10, reason: 'checkpoint-forged' } })
  await asIntruder(edge, `UPDATE audit_checkpoints SET seq = 7 WHERE chain = '${other}'`)
  expect(await verify(other)).toMatchObject({ broken: { seq: 7, reason: 'checkpoint-forged' } })
})

test('a presented checkpoint must be ours and of this chain', async () => {
  const [orgId, other] = [await checkpointed(), await checkpointed()]
  const [{ signed } = { signed: '' }] = await checkpoints(other)
  const mine = (await checkpoints(orgId))[0]!.signed
  const [head, body, signature] = mine.split('.')
  const forged = await new SignJWT({ chain: orgId, seq: 1, entryId: 1, hash: 'x' })
    .setProtectedHeader({ alg: 'HS256', typ: 'audit-checkpoint+jwt', kid: 'audit-1' })
    .setIssuer(ORIGIN)
    .sign(new TextEncoder().encode('k'.repeat(32)))
  const none = `${Buffer.from('{"alg":"none","typ":"audit-checkpoint+jwt","kid":"audit-1"}').toString('base64url')}.${body}.`
  const tampered = `${head}.${Buffer.from(Buffer.from(body!, 'base64url').toString().replace('"seq":10', '"seq":11')).toString('base64url')}.${signature}`
  for (const presented of [signed, forged, none, tampered, 'x', '..', `${mine}=`, ` ${mine}`, 'é', 'a'.repeat(1001)])
    await expect(verify(orgId, presented)).rejects.toMatchObject({ slug: 'invalid-request' })
  expect(await verify(orgId, mine)).toMatchObject({ status: 'intact' })
})

test('what is broken is never signed; the log and health tell, until it is whole again', async () => {
  const orgId = await checkpointed()
  const [id] = (
    await edge.db.prepare('SELECT entry_id AS id FROM audit_links WHERE chain = ? AND seq = 12').bind(orgId).all<{ id: number }>()
  ).results
  await asIntruder(edge, `UPDATE audit_entries SET cause = 'x' || cause WHERE id = ${id!.id}`)
  await aDayLater(orgId)
  expect((await checkpoints(orgId)).map((c) => c.seq)).toEqual([10])
  expect(edge.logs()).toContainEqual(expect.objectContaining({ event: 'audit.broken', chain: orgId, seq: 12, reason: 'entry-changed' }))
  expect(await edge.db.prepare('SELECT fault FROM audit_chains WHERE chain = ?').bind(orgId).first('fault')).toBe(
    JSON.stringify({ seq: 12, entryId: id!.id, reason: 'entry-changed' }),
  )
  const ready = await edge.client().getReady()
  expect(ready.dependencies['audit']).toMatchObject({ ok: false, hard: false, detail: expect.stringContaining('1 broken') })
  await asIntruder(edge, `UPDATE audit_entries SET cause = substr(cause, 2) WHERE id = ${id!.id}`)
  await aDayLater(orgId)
  expect((await checkpoints(orgId)).map((c) => c.seq)).toEqual([13, 10])
  expect(await edge.db.prepare('SELECT fault FROM audit_chains WHERE chain = ?').bind(orgId).first('fault')).toBeNull()
})

test(
  'a chain that grows faster than one sweep can check is signed part by part',
  async () => {
    const orgId = await foundOrg(edge, owner, 4500)
    await edge.db.prepare('UPDATE audit_chains SET due_at = 0 WHERE chain = ?').bind(orgId).run()
    for (const signed of [[2000], [4000, 2000], [4500, 4000, 2000], [4500, 4000, 2000]]) {
      await runCron(edge)
      expect((await checkpoints(orgId)).map((c) => c.seq)).toEqual(signed)
    }
  },
  LONG_MS,
)

test('checkpoints cannot be changed or removed', async () => {
  await checkpointed()
  for (const statement of [
    "UPDATE audit_checkpoints SET hash = 'x'",
    'DELETE FROM audit_checkpoints',
    "INSERT OR REPLACE INTO audit_checkpoints SELECT chain, seq, kid, 'x', at, signed FROM audit_checkpoints",
  ])
    await expect(edge.db.prepare(statement).run()).rejects.toThrow('append-only')
})

test(
  'when the secret rotates every chain is signed anew, and then the old secret may go',
  async () => {
    const [old, next] = [String(edge.settings.SECRET_KEYS), rootSecret(2)]
    const own = await startEdge({ vars: { SECRET_KEYS: `${next},${old}` } })
    try {
      const user = await own.signUp('owner')
      const before = sealerOf(own, { ...own.settings, SECRET_KEYS: old })
      const orgId = await foundOrg(own, user, 0)
      await addEntries(own, orgId, 5)
      await before.seal()
      expect(await before.verify(orgId)).toMatchObject({ status: 'intact', seq: 5 })
      await own.db.prepare('UPDATE audit_chains SET due_at = NULL, kid = ?').bind('audit-1').run()
      const waiting = await own.client().getReady()
      expect(waiting.dependencies['audit']?.detail).toMatch(/[1-9]\d* signed with an old key/)
      await runCron(own)
      expect((await user.client.listOrgCheckpoints({ params: { orgId } })).items).toMatchObject([{ seq: 5, kid: 'audit-2' }])
      await addEntries(own, orgId, 2)
      const after = sealerOf(own, { ...own.settings, SECRET_KEYS: next })
      await after.seal()
      expect(await after.verify(orgId)).toMatchObject({ status: 'intact', seq: 7, checkpointSeq: 5 })
      await asIntruder(own, `UPDATE audit_entries SET cause = 'x' WHERE org_id = '${orgId}' AND cause = 'cause 3'`)
      expect(await after.verify(orgId)).toMatchObject({ broken: { seq: 3, reason: 'entry-changed' } })
    } finally {
      await own.stop()
    }
  },
  LONG_MS,
)

test('a secret dropped before the chain was signed anew leaves links that nobody vouches for', async () => {
  const orgId = await foundOrg(edge, owner, 5)
  const hasty = sealerOf(edge, { ...edge.settings, SECRET_KEYS: rootSecret(2) })
  expect(await hasty.verify(orgId)).toMatchObject({ broken: { seq: 1, reason: 'link-forged' } })
})
