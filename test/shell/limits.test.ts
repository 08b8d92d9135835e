import { afterAll, beforeAll, expect, test } from 'vitest'
import { SHELLS_PER_USER_MAX } from '../../src/contract/shell.ts'
import { startEdge } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { problemOf, type Rig, startRig, until } from './rig.ts'

describeWith('sshd', 'live shells of one user', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig()
  })
  afterAll(() => rig.stop())

  test('fifty opened at once are as many as allowed, and each that ends makes room', async () => {
    const attempts = await Promise.allSettled(
      Array.from({ length: 50 }, () => rig.owner.client.openShell({ body: { hostId: rig.host.id } })),
    )
    const opened = attempts.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []))
    const refused = attempts.flatMap((a) => (a.status === 'rejected' ? [(a.reason as { slug: string }).slug] : []))
    expect(opened.length).toBeLessThanOrEqual(SHELLS_PER_USER_MAX)
    expect(new Set(refused)).toEqual(new Set(['limit-reached']))
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
