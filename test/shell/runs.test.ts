import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OVERSIGHT_DEFAULT } from '../../src/contract/oversight.ts'
import type { RunEvent, RunHost, StartRun } from '../../src/contract/runs.ts'
import type { TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { hostBody, problemOf, type Rig, startRig, until } from './rig.ts'

type Body = Omit<Partial<StartRun>, 'on'> & Pick<StartRun, 'command'> & { readonly on?: StartRun['on'] }

describeWith('sshd', 'one command on many hosts', () => {
  let rig: Rig
  let reader: TestUser
  let operator: TestUser
  const ids: string[] = []
  beforeAll(async () => {
    rig = await startRig()
    mkdirSync(join(rig.sshd.directory, 'work'))
    chmodSync(join(rig.sshd.directory, 'work'), 0o777)
    reader = await rig.member('reader')
    operator = await rig.member('operator')
    for (let n = 1; n <= 6; n++) {
      const body = { ...hostBody(rig.sshd), name: `web-${n}`, tags: ['web', n % 2 === 0 ? 'even' : 'odd'] }
      ids.push((await rig.owner.client.createHost({ params: { orgId: rig.org.id }, body })).id)
    }
  })
  afterAll(() => rig.stop())

  const start = (body: Body, user: TestUser = rig.owner) =>
    user.client.startRun({ params: { orgId: rig.org.id }, body: { on: { tag: 'web' }, ...body } as never })
  const hostsOf = async (runId: string) => (await rig.owner.client.listRunHosts({ params: { runId } })).items
  const over = (runId: string) =>
    until(async () => {
      const run = await rig.owner.client.getRun({ params: { runId } })
      return run.endedAt !== undefined && run
    }, 25_000)
  const events = async (runId: string, user: TestUser, headers: Record<string, string> = {}) =>
    rig.edge.request(`/v1/runs/${runId}/events`, { headers: { authorization: `Bearer ${await user.client.accessToken()}`, ...headers } })
  const file = (name: string) => join(rig.sshd.directory, 'work', name)

  const whileGate = () => `while [ -e ${file('gate')} ]; do sleep 0.05; done`

  test('runs on every host of a tag, tells each result as it comes, and keeps one record', async () => {
    const run = await start({
      command: 'echo "to $PARVIS_WHO"; cat; echo err >&2',
      stdin: 'from us\n',
      env: { PARVIS_WHO: 'all' },
      parallel: 2,
    })
    expect(run).toMatchObject({ state: 'running', hosts: 6, parallel: 2, userId: rig.owner.id, succeeded: 0, failed: 0 })
    // Output is shown as recordings are: to owners and to who ran it, unless the organisation opens it to all.
    expect((await events(run.id, reader)).status).toBe(403)
    expect(await problemOf(reader.client.listRunHosts({ params: { runId: run.id } }))).toMatchObject({ slug: 'forbidden' })
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: { ...OVERSIGHT_DEFAULT, isOpen: true } })
    const stream = await events(run.id, reader)
    expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const text = await stream.text()
    const told = text.split('\n\n').filter((part) => part.includes('data: '))
    const hosts = told.filter((part) => part.includes('event: host')).map((part) => JSON.parse(part.slice(part.indexOf('data: ') + 6)))
    const done = hosts.filter(({ state }) => state === 'done')
    expect(done.map(({ name }) => name).sort()).toEqual(['web-1', 'web-2', 'web-3', 'web-4', 'web-5', 'web-6'])
    for (const host of done) expect(host).toMatchObject({ exitCode: 0, stdout: 'to all\nfrom us\n', stderr: 'err\n', truncated: false })
    expect(hosts.map(({ seq }) => seq)).toEqual(hosts.map(({ seq }) => seq).toSorted((a, b) => a - b))
    expect(told.at(-1)).toMatch(/^id: \d+\nevent: run\ndata: \{/)
    expect(JSON.parse(told.at(-1)!.split('data: ')[1]!)).toMatchObject({ state: 'done', succeeded: 6, failed: 0 })
    const kept = await hostsOf(run.id)
    expect(kept.map(({ hostId }) => hostId)).toEqual(ids)
    const { results } = await rig.edge.db
      .prepare("SELECT count(*) AS n FROM shell_commands WHERE state = 'done' AND exit_code = 0 AND id IN (SELECT value FROM json_each(?))")
      .bind(JSON.stringify(kept.map(({ shellId }) => shellId)))
      .all()
    expect(results).toEqual([{ n: 6 }])
    const last = Math.max(...hosts.map(({ seq }) => seq))
    // Whoever was away when it ended hears of the end; whoever heard of it has nothing more to come back for.
    expect(await (await events(run.id, reader, { 'last-event-id': String(last) })).text()).toContain(`id: ${last + 1}\nevent: run`)
    expect((await events(run.id, reader, { 'last-event-id': String(last + 1) })).status).toBe(204)
    const later = await (await events(run.id, reader, { 'last-event-id': String(last - 1) })).text()
    expect(later.match(/event: host/g)).toHaveLength(1)
    const typed: RunEvent[] = []
    for await (const event of await reader.client.followRun({ params: { runId: run.id } })) typed.push(event)
    expect(typed.at(-1)).toMatchObject({ event: 'run', data: { state: 'done', succeeded: 6 } })
    expect(
      typed
        .filter(({ event }) => event === 'host')
        .map(({ data }) => (data as RunHost).name)
        .sort(),
    ).toEqual(done.map(({ name }) => name).sort())
    const { items } = await reader.client.listRuns({ params: { orgId: rig.org.id } })
    expect(items[0]).toMatchObject({ id: run.id, state: 'done', succeeded: 6, failed: 0 })
    const first = await reader.client.listRunHosts({ params: { runId: run.id }, query: { limit: 4 } })
    const rest = await reader.client.listRunHosts({ params: { runId: run.id }, query: { limit: 4, cursor: first.nextCursor! } })
    expect([...first.items, ...rest.items].map(({ hostId }) => hostId)).toEqual(ids)
    expect(rest.nextCursor).toBeUndefined()
  })

  test('says for each host how it went: exit codes, a timeout that was stopped, a host that is not there', async () => {
    const gone = await rig.owner.client.createHost({
      params: { orgId: rig.org.id },
      body: { ...hostBody(rig.sshd), name: 'gone', port: 22, address: '127.0.0.1' },
    })
    const run = await start({ on: { hostIds: [ids[0]!, gone.id] as never }, command: 'exit 7', parallel: 1 })
    expect(await over(run.id)).toMatchObject({ state: 'done', succeeded: 0, failed: 2 })
    expect(await hostsOf(run.id)).toMatchObject([
      { name: 'web-1', state: 'done', exitCode: 7, problem: null },
      { name: 'gone', state: 'failed', exitCode: null, problem: expect.stringMatching(/^host-/) },
    ])
    const slow = await start({ on: { hostIds: [ids[0]!] as never }, command: 'sleep 60', timeoutSeconds: 1 })
    expect(await over(slow.id)).toMatchObject({ state: 'done', failed: 1 })
    expect(await hostsOf(slow.id)).toMatchObject([{ state: 'timed-out', killed: 'confirmed' }])
    await rig.owner.client.deleteHost({ params: { hostId: gone.id } })
  })

  test('stops at the first failure when it is told to: what has not begun is left out', async () => {
    const run = await start({ command: 'exit 1', parallel: 1, stopOnFailure: true })
    expect(await over(run.id)).toMatchObject({ state: 'stopped', succeeded: 0, failed: 1 })
    expect((await hostsOf(run.id)).map(({ state }) => state)).toEqual(['done', 'skipped', 'skipped', 'skipped', 'skipped', 'skipped'])
  })

  test('is cancelled by its starter or an owner: what runs ends by itself, nothing more begins', async () => {
    writeFileSync(file('gate'), '')
    const run = await start({ command: `${whileGate()}; echo out`, parallel: 2 }, operator)
    await until(async () => (await hostsOf(run.id)).filter(({ state }) => state === 'running').length === 2)
    expect(await problemOf(reader.client.cancelRun({ params: { runId: run.id } }))).toMatchObject({ slug: 'forbidden' })
    expect(await rig.owner.client.cancelRun({ params: { runId: run.id } })).toMatchObject({ state: 'cancelled' })
    execFileSync('rm', [file('gate')])
    expect(await over(run.id)).toMatchObject({ state: 'cancelled', succeeded: 2, failed: 0 })
    expect((await hostsOf(run.id)).map(({ state }) => state)).toEqual(['done', 'done', 'skipped', 'skipped', 'skipped', 'skipped'])
    expect(await rig.owner.client.cancelRun({ params: { runId: run.id } })).toMatchObject({ state: 'cancelled' })
  })

  test('is for those who may act on hosts of the organisation alone', async () => {
    const stranger = await rig.edge.signUp('stranger')
    expect(await problemOf(start({ command: 'id' }, reader))).toMatchObject({ slug: 'forbidden' })
    expect(await problemOf(start({ command: 'id' }, stranger))).toMatchObject({ slug: 'not-found' })
    expect(await problemOf(start({ command: 'id', on: { tag: 'nobody' } as never }))).toMatchObject({ slug: 'not-found' })
    const other = await stranger.client.createOrg({ body: { name: 'Elsewhere' } })
    const foreign = stranger.client.startRun({ params: { orgId: other.id }, body: { on: { hostIds: [ids[0]!] }, command: 'id' } })
    expect(await problemOf(foreign)).toMatchObject({ slug: 'not-found' })
    const twice = start({ command: 'id', on: { hostIds: [ids[0]!, ids[0]!] } as never })
    expect(await problemOf(twice)).toMatchObject({ slug: 'invalid-request' })
    const run = await start({ command: 'true' })
    for (const call of ['getRun', 'listRunHosts', 'cancelRun'] as const)
      expect(await problemOf(stranger.client[call]({ params: { runId: run.id } }))).toMatchObject({ slug: 'not-found' })
    expect((await events(run.id, stranger)).status).toBe(404)
    expect((await rig.edge.request(`/v1/runs/${run.id}/events`)).status).toBe(401)
    await over(run.id)
  })

  test('is followed by a person a few times at once, which leaves room for others, and ends each of them with itself', async () => {
    writeFileSync(file('gate'), '')
    const run = await start({ command: whileGate(), on: { hostIds: [ids[0]!] as never } })
    const followed = await Promise.all(Array.from({ length: 8 }, () => events(run.id, rig.owner)))
    expect(followed.map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect((await events(run.id, rig.owner)).status).toBe(409)
    followed.push(await events(run.id, reader))
    execFileSync('rm', [file('gate')])
    for (const one of followed) expect((await one.text()).trimEnd().split('\n\n').at(-1)).toContain('event: run')
  })

  test('a person has a few runs under way at most', async () => {
    writeFileSync(file('gate'), '')
    const asked = await Promise.allSettled(
      Array.from({ length: 6 }, () => start({ on: { hostIds: [ids[0]!] as never }, command: whileGate() }, operator)),
    )
    const began = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(began).toHaveLength(4)
    expect(asked.filter((one) => one.status === 'rejected').map(({ reason }) => reason.slug)).toEqual(['limit-reached', 'limit-reached'])
    execFileSync('rm', [file('gate')])
    for (const run of began) expect(await over(run.id)).toMatchObject({ state: 'done' })
  })

  test('begins nothing more once its starter has signed out, or is no operator any more', async () => {
    const leaver = await rig.member('operator')
    writeFileSync(file('gate'), '')
    const command = `${whileGate()}; echo x >> ${file('leaver')}`
    const run = await start({ command, parallel: 1 }, leaver)
    await until(async () => (await hostsOf(run.id))[0]?.state === 'running')
    await leaver.client.logout()
    execFileSync('rm', [file('gate')])
    expect(await over(run.id)).toMatchObject({ state: 'cancelled', succeeded: 1, failed: 0 })
    expect(readFileSync(file('leaver'), 'utf8')).toBe('x\n')
    const fallen = await rig.member('operator')
    writeFileSync(file('gate'), '')
    const second = await start({ command: whileGate(), parallel: 1 }, fallen)
    await until(async () => (await hostsOf(second.id))[0]?.state === 'running')
    await rig.owner.client.putOrgMember({ params: { orgId: rig.org.id, userId: fallen.id }, body: { role: 'reader' } })
    execFileSync('rm', [file('gate')])
    expect(await over(second.id)).toMatchObject({ succeeded: 1, failed: 5 })
    expect((await hostsOf(second.id)).slice(1).map(({ problem }) => problem)).toEqual(Array.from({ length: 5 }, () => 'forbidden'))
  })

  test('goes on after the runtime was killed; what ran then is unknown and never runs again', async () => {
    writeFileSync(file('gate'), '')
    const command = `echo begun >> ${file('begun')}; ${whileGate()}`
    const run = await start({ command, parallel: 2 })
    await until(() => readIf(file('begun')).split('\n').length === 3)
    process.kill(workerdPids().at(-1)!, 'SIGKILL')
    execFileSync('rm', [file('gate')])
    const ended = await until(async () => {
      const found = await rig.owner.client.getRun({ params: { runId: run.id } }).catch(() => undefined)
      return found?.endedAt !== undefined && found
    }, 28_000)
    expect(ended).toMatchObject({ state: 'done', succeeded: 4, failed: 2 })
    expect((await hostsOf(run.id)).map(({ state }) => state)).toEqual(['unknown', 'unknown', 'done', 'done', 'done', 'done'])
    expect(readFileSync(file('begun'), 'utf8')).toBe('begun\n'.repeat(6))
  }, 40_000)
})

function readIf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function workerdPids(): number[] {
  const list = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .flatMap((found) => (found ? [[Number(found[1]), found[2], found[3]] as const] : []))
  return list.filter(([, ppid, command]) => Number(ppid) === process.pid && command?.includes('workerd')).map(([pid]) => pid)
}
