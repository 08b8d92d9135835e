import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ShellView } from '../../src/client/client.ts'
import type { Recording } from '../../src/contract/recordings.ts'
import type { ShellId } from '../../src/contract/shell.ts'
import type { Env } from '../../src/edge/env.ts'
import { describeWith } from '../requires.ts'
import { loadPlayerTerminal } from './player-terminal.ts'
import { problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** The processes that run the Worker: the last started is the user Worker. */
function workerPid(): number {
  const list = execFileSync('ps', ['-o', 'pid=,ppid=,args=', '-e'], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  const pids = list.filter(([, ppid, command]) => Number(ppid) === process.pid && command?.includes('workerd')).map(([pid]) => Number(pid))
  return pids.at(-1) ?? 0
}

describeWith('sshd', 'a recording', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig({ relayEnv: { RELAY_HEARTBEAT_SECONDS: '1' } })
  })
  afterAll(() => rig.stop())

  const owner = () => rig.owner.client
  const bucket = async () => (await rig.edge.worker.getEnv()).RECORDINGS as Env['RECORDINGS']

  async function open(client = owner()) {
    const screen = screenOf()
    const view = await client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
    await screen.until('$ ')
    return { view, screen }
  }
  async function end(view: ShellView) {
    view.write('exit\n')
    await view.finished()
    return ended(view.id)
  }
  const ended = (id: string, client = owner()): Promise<Recording> =>
    until(async () => {
      const recording = await client.getRecording({ params: { shellId: id } })
      return recording.endedAt !== undefined && recording
    })
  async function file(shellId: string, format: 'asciicast' | 'text' | 'raw', client = owner()): Promise<Buffer> {
    const { path } = await client.createRecordingFile({ params: { shellId }, body: { format } })
    const response = await rig.edge.request(path)
    expect(response.status).toBe(200)
    return Buffer.from(await response.arrayBuffer())
  }
  const exec = (command: string, client = owner()) => client.execCommand({ params: { hostId: rig.host.id }, body: { command } })
  const verify = (shellId: string) => owner().verifyRecording({ params: { shellId } })
  const linesOf = (cast: Buffer): unknown[] =>
    cast
      .toString('utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  /** What the cast shows, joined. */
  const shown = (cast: Buffer) =>
    cast
      .toString('utf8')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse(line) as [number, string, string])

  test('of a terminal is byte for byte what the host sent, in time, with sizes, signed and intact', async () => {
    const { view, screen } = await open()
    view.write(`printf 'caf\\303\\251 \\377\\n'; seq 1 2000\n`)
    await screen.until('\r\n2000\r\n')
    view.resize(120, 40)
    view.write('echo wi""der\n')
    await screen.until('wider')
    const recording = await end(view)
    expect(recording).toMatchObject({ kind: 'pty', gaps: 0, bytes: screen.bytes(), userId: rig.owner.id, hostId: rig.host.id })
    expect(sha(await file(view.id, 'raw'))).toBe(sha(screen.buffer()))
    const cast = await file(view.id, 'asciicast')
    const header = JSON.parse(cast.toString('utf8').split('\n')[0]!)
    expect(header).toMatchObject({ version: 2, width: 80, height: 24 })
    const events = shown(cast)
    const output = events.filter(([, code]) => code === 'o')
    expect(output.map(([, , text]) => text).join('')).toBe(screen.text())
    expect(events).toContainEqual([expect.any(Number), 'r', '120x40'])
    expect(events.every(([at], i) => at >= (events[i - 1]?.[0] ?? 0))).toBe(true)
    expect((await file(view.id, 'text')).toString('utf8')).toContain('\n1999\n2000\n')
    expect(await verify(view.id)).toEqual({ status: 'intact', chunks: recording.chunks, isSigned: true })
  })

  test('of a command holds both streams in their order', async () => {
    const { shellId, stdout } = await exec('echo out; sleep 0.1; echo err >&2; sleep 0.1; echo out again')
    expect(stdout).toBe('out\nout again\n')
    const recording = await ended(shellId)
    expect(recording).toMatchObject({ kind: 'exec', bytes: 18, gaps: 0 })
    expect((await file(shellId, 'raw')).toString()).toBe('out\nerr\nout again\n')
    expect(shown(await file(shellId, 'asciicast')).map(([, , text]) => text)).toEqual(['out\r\n', 'err\r\n', 'out again\r\n'])
    expect(await verify(shellId)).toMatchObject({ status: 'intact', isSigned: true })
  })

  test('holds what is no text as well: a byte order mark, and a character that never ends', async () => {
    const { shellId } = await exec(`printf '\\357\\273\\277x\\303'`)
    await ended(shellId)
    expect(
      shown(await file(shellId, 'asciicast'))
        .map(([, , text]) => text)
        .join(''),
    ).toBe('\ufeffx\ufffd')
  })

  test('of a command without output is there too, and of one that never began is not', async () => {
    const { shellId } = await exec('true')
    expect(await ended(shellId)).toMatchObject({ bytes: 0, chunks: 1 })
    const nowhere = await owner().createHost({
      params: { orgId: rig.org.id },
      body: {
        name: 'nowhere',
        address: '127.0.0.1',
        port: 22,
        user: 'x',
        keys: rig.sshd.hostKeys.map(({ type, key }) => ({ type, key })),
        credential: { kind: 'password', password: 'x' },
      },
    })
    await problemOf(owner().execCommand({ params: { hostId: nowhere.id }, body: { command: 'true' } }))
    await until(async () => {
      const { items } = await owner().listRecordings({ params: { orgId: rig.org.id }, query: { hostId: nowhere.id } })
      return items.length === 0
    })
  })

  test('survives cuts of the link and the death of the runtime without a byte lost or doubled', async () => {
    const { view, screen } = await open()
    view.write(`stty -echo; seq 1 300000; printf 'E''ND\\n'\n`)
    for (const mark of [100_000, 250_000]) {
      await until(() => screen.bytes() > mark)
      rig.network.cut()
    }
    await until(() => screen.bytes() > 400_000)
    process.kill(workerPid(), 'SIGKILL')
    await until(async () => (await rig.edge.request('/health/live').catch(() => undefined))?.ok)
    await screen.until('END\r\n', 30_000)
    const recording = await end(view)
    expect(recording).toMatchObject({ gaps: 0, bytes: screen.bytes() })
    expect(recording.chunks).toBeGreaterThan(1)
    expect(sha(await file(view.id, 'raw'))).toBe(sha(screen.buffer()))
    expect(await verify(view.id)).toMatchObject({ status: 'intact' })
  }, 90_000)

  test('that was changed by one byte, put in another order, forged or cut is broken at that chunk, and says so when it is played', async () => {
    const { view, screen } = await open()
    view.write(`stty -echo; seq 1 300000; printf 'E''ND\\n'\n`)
    await screen.until('END\r\n', 30_000)
    const { chunks } = await end(view)
    const store = await bucket()
    const key = `recordings/${rig.org.id}/${view.id}/00000001`
    const object = new Uint8Array(await (await store.get(key))!.arrayBuffer())
    const whole = object.slice()
    object[object.length - 100]! ^= 1
    await store.put(key, object)
    expect(await verify(view.id)).toMatchObject({ status: 'broken', chunks: 1, broken: { seq: 1, reason: 'chunk-changed' } })
    const marks = shown(await file(view.id, 'asciicast')).filter(([, code]) => code === 'm')
    expect(marks.map(([, , text]) => text)).toContain('chunk 1 is not what was recorded')
    await store.delete(key)
    expect(await verify(view.id)).toMatchObject({ broken: { seq: 1, reason: 'chunk-missing' } })
    await store.put(key, whole)
    expect(await verify(view.id)).toMatchObject({ status: 'intact', chunks })
    const first = `recordings/${rig.org.id}/${view.id}/00000000`
    const before = new Uint8Array(await (await store.get(first))!.arrayBuffer())
    await store.put(first, whole)
    await store.put(key, before)
    expect(await verify(view.id), 'in another order').toMatchObject({ broken: { seq: 0, reason: 'chunk-changed' } })
    await store.put(first, before)
    await store.put(key, whole)
    const db = await rig.edge.reopenDb()
    await db.prepare('UPDATE recording_chunks SET prev_hash = ? WHERE recording_id = ? AND seq = 1').bind('0'.repeat(64), view.id).run()
    expect(await verify(view.id)).toMatchObject({ broken: { seq: 1, reason: 'link-forged' } })
    await db.prepare('DELETE FROM recording_chunks WHERE recording_id = ? AND seq = 1').bind(view.id).run()
    expect(await verify(view.id)).toMatchObject({ broken: { seq: 1, reason: 'link-missing' } })
    await db.prepare('DELETE FROM recording_chunks WHERE recording_id = ? AND seq >= 1').bind(view.id).run()
    expect(await verify(view.id)).toMatchObject({ broken: { seq: 1, reason: 'truncated' } })
    await db.prepare("UPDATE recordings SET signed = 'a.b.c' WHERE id = ?").bind(view.id).run()
    expect(await verify(view.id)).toMatchObject({ isSigned: false, broken: { seq: 1, reason: 'statement-forged' } })
    // Cut short, and made to look as if it went on.
    const short = 'SELECT hash FROM recording_chunks WHERE recording_id = ?1 AND seq = 0'
    await db
      .prepare(`UPDATE recordings SET signed = NULL, ended_at = NULL, chunks = 1, hash = (${short}) WHERE id = ?1`)
      .bind(view.id)
      .run()
    await db.prepare('UPDATE shells SET closed_at = closed_at - 3600000 WHERE id = ?').bind(view.id).run()
    expect(await verify(view.id)).toMatchObject({ isSigned: false, broken: { seq: 1, reason: 'statement-forged' } })
  }, 60_000)

  test('is for owners and whoever opened it, for others where the organisation says so, for strangers not there', async () => {
    const [operator, reader, stranger] = await Promise.all([rig.member('operator'), rig.member('reader'), rig.edge.signUp('stranger')])
    const { shellId } = await exec('echo seen', operator.client)
    await ended(shellId, operator.client)
    const look = (of: { client: typeof operator.client }) => problemOf(of.client.getRecording({ params: { shellId } }))
    expect((await look(reader)).slug).toBe('forbidden')
    expect((await look(stranger)).slug).toBe('not-found')
    expect((await problemOf(stranger.client.listRecordings({ params: { orgId: rig.org.id } }))).slug).toBe('not-found')
    const listed = async (of: typeof reader) =>
      (await of.client.listRecordings({ params: { orgId: rig.org.id } })).items.map((r) => r.shellId)
    expect(await listed(reader)).toEqual([])
    expect(await listed(operator)).toEqual([shellId])
    const oversight = await owner().getOversight({ params: { orgId: rig.org.id } })
    expect((await problemOf(operator.client.putOversight({ params: { orgId: rig.org.id }, body: oversight }))).slug).toBe('forbidden')
    await owner().putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, isOpen: true } })
    expect(await listed(reader)).toContain(shellId)
    expect((await file(shellId, 'raw', reader.client)).toString()).toBe('seen\n')
    await owner().putOversight({ params: { orgId: rig.org.id }, body: oversight })
    const { path } = await operator.client.createRecordingFile({ params: { shellId }, body: { purpose: 'view' } })
    await owner().removeOrgMember({ params: { orgId: rig.org.id, userId: operator.id } })
    expect((await rig.edge.request(path)).status).toBe(404)
  })

  test('is looked at on record, and by each path once', async () => {
    const { shellId } = await exec('echo x')
    await ended(shellId)
    const { path } = await owner().createRecordingFile({ params: { shellId }, body: { format: 'text', purpose: 'view' } })
    expect(await (await rig.edge.request(path)).text()).toBe('x\n')
    expect((await rig.edge.request(path)).status).toBe(401)
    expect((await rig.edge.request(path.replace('format=text', 'format=raw'))).status).toBe(401)
    expect((await rig.edge.request(`/v1/shells/${shellId}/recording/file`)).status).toBe(401)
    const { items } = await owner().listOrgAudit({ params: { orgId: rig.org.id }, query: { subject: shellId, action: 'recording.' } })
    expect(items).toEqual([
      expect.objectContaining({ action: 'recording.view', actorId: rig.owner.id, cause: expect.stringMatching(/^text /) }),
    ])
  })

  test('is found by what it shows, over the cuts of chunks and pages', async () => {
    const { view, screen } = await open()
    view.write(`stty -echo; seq 1 170000; printf '\\033[1mNee\\033[0mdle in a haystack\\n'; seq 1 170000; printf 'E''ND\\n'\n`)
    await screen.until('END\r\n', 30_000)
    await end(view)
    const find = async (text: string) => {
      const found = []
      for (let cursor: string | undefined, more = true; more; ) {
        const page = await owner().searchRecordings({ params: { orgId: rig.org.id }, query: { text, ...(cursor ? { cursor } : {}) } })
        found.push(...page.items)
        cursor = page.nextCursor
        more = cursor !== undefined
      }
      return found
    }
    expect(await find('needle in a HAY')).toEqual([
      { shellId: view.id, hostId: rig.host.id, atMs: expect.any(Number), line: 'Needle in a haystack' },
    ])
    expect(await find('no such words')).toEqual([])
    expect((await find('89999')).filter(({ shellId }) => shellId === view.id).length).toBe(2)
  }, 60_000)

  test('from a moment on begins with the screen of then, in its size, and goes on as the whole does', async () => {
    const { view, screen } = await open()
    view.write(`stty -echo; seq 1 400000; printf '\\033[1;31mred \\346\\274\\242\\033[0m\\n'\n`)
    await screen.until('red \u6f22', 30_000)
    view.resize(50, 12)
    view.write(`printf '\\033[?1049h\\033[2;5r\\033[3;4Hinside'; sleep 0.2; printf ' more'; sleep 0.2; printf '\\033[?1049lback\\n'\n`)
    await screen.until('back')
    view.resize(100, 30)
    view.write('seq 1 300000; printf "E""ND"\n')
    await screen.until('END', 30_000)
    const { chunks, durationMs } = await end(view)
    expect(chunks).toBeGreaterThan(3)
    const playerTerminal = await loadPlayerTerminal()
    const [, ...whole] = linesOf(await file(view.id, 'asciicast'))
    const events = whole as [number, string, string][]
    const fold = (width: number, height: number, of: typeof events) => {
      const terminal = playerTerminal(width, height)
      for (const [, code, data] of of) {
        if (code === 'o') terminal.feed(data)
        if (code === 'r') terminal.resize(...(data.split('x').map(Number) as [number, number]))
      }
      return { rows: terminal.look(), cursor: terminal.cursor() }
    }
    const marked = (text: string) => Math.round((events.find(([, code, data]) => code === 'o' && data.includes(text))?.[0] ?? 0) * 1000)
    for (const ms of [marked('inside') - 1, marked('inside'), marked(' more'), marked('back'), Math.round(durationMs / 3), durationMs]) {
      const { path } = await owner().createRecordingFile({ params: { shellId: view.id }, body: { fromMs: ms } })
      const response = await rig.edge.request(path)
      expect(response.headers.get('recording-from-ms')).toBe(String(ms))
      const [header, first, ...rest] = linesOf(Buffer.from(await response.arrayBuffer())) as [
        { width: number; height: number },
        (typeof events)[0],
      ]
      const before = events.filter(([at]) => Math.round(at * 1000) <= ms)
      expect(fold(header.width, header.height, [first]), `at ${ms}`).toEqual(fold(80, 24, before))
      const later = events.slice(before.length).map(([at, code, data]) => [Math.round(at * 1000) - ms, code, data])
      expect((rest as typeof events).map(([at, code, data]) => [Math.round(at * 1000), code, data])).toEqual(later)
    }
    expect(await verify(view.id)).toMatchObject({ status: 'intact' })
  }, 90_000)

  test('that goes on is sought in as well', async () => {
    const { view, screen } = await open()
    view.write(`stty -echo; seq 1 400000; printf 'E''ND\\n'\n`)
    await screen.until('END\r\n', 30_000)
    const kept = await until(async () => {
      const recording = await owner().getRecording({ params: { shellId: view.id } })
      return recording.chunks > 1 && recording
    })
    expect(kept.endedAt).toBeUndefined()
    const { path } = await owner().createRecordingFile({ params: { shellId: view.id }, body: { fromMs: kept.durationMs } })
    const [, [at, code, data]] = linesOf(Buffer.from(await (await rig.edge.request(path)).arrayBuffer())) as [
      object,
      [number, string, string],
    ]
    expect([at, code]).toEqual([0, 'o'])
    expect(data.split('\u001b[K\r\n').filter((line) => /^\d{6}$/.test(line)).length).toBeGreaterThan(20)
    await end(view)
  }, 60_000)

  test('goes when its time is over, objects first, and its end is on record', async () => {
    const { shellId } = await exec('echo old')
    await ended(shellId)
    await (await bucket()).put(`recordings/${rig.org.id}/${shellId}/keyframes/00000007`, 'x')
    const db = await rig.edge.reopenDb()
    await db.prepare('UPDATE recordings SET started_at = started_at - 91 * 86400000 WHERE id = ?').bind(shellId).run()
    await rig.edge.worker.scheduled({ cron: '* * * * *' })
    await until(async () => (await problemOf(owner().getRecording({ params: { shellId } }))).slug === 'not-found')
    const { objects } = await (await bucket()).list({ prefix: `recordings/${rig.org.id}/${shellId}/` })
    expect(objects).toEqual([])
    const { items } = await owner().listOrgAudit({ params: { orgId: rig.org.id }, query: { subject: shellId, action: 'recording.expire' } })
    expect(items).toHaveLength(1)
  })

  test('that cannot be kept ends a strict shell within seconds, with a reason, and lets no new one open', async () => {
    const oversight = await owner().getOversight({ params: { orgId: rig.org.id } })
    await owner().putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, isStrict: true } })
    const { view, screen } = await open()
    const db = await rig.edge.reopenDb()
    await db.prepare("CREATE TRIGGER wall BEFORE INSERT ON recording_chunks BEGIN SELECT RAISE(ABORT, 'wall'); END").run()
    view.write('echo on""ce\n')
    await screen.until('once')
    const endedAt = Date.now()
    expect(await view.finished()).toMatchObject({ state: 'closed', reason: expect.stringContaining('recording could not be kept') })
    expect(Date.now() - endedAt).toBeLessThan(15_000)
    expect(await problemOf(owner().openShell({ body: { hostId: rig.host.id } }))).toMatchObject({
      slug: 'unavailable',
      detail: expect.stringContaining('recording could not be kept'),
    })
    expect((await problemOf(exec('touch should-not-run'))).slug).toBe('unavailable')
    await db.prepare('DROP TRIGGER wall').run()
    // A command that says something once and then nothing asks storage for nothing more by itself; its first, empty piece is let through.
    await db.prepare("CREATE TRIGGER wall BEFORE INSERT ON recording_chunks WHEN NEW.seq > 0 BEGIN SELECT RAISE(ABORT, 'wall'); END").run()
    expect(await problemOf(exec('echo once; sleep 7777'))).toMatchObject({
      slug: 'host-unreachable',
      detail: expect.stringContaining('recording could not be kept'),
    })
    await db.prepare('DROP TRIGGER wall').run()
    await owner().putOversight({ params: { orgId: rig.org.id }, body: oversight })
    expect((await exec('ls')).stdout).not.toContain('should-not-run')
    // Storage is back: what the shell has shown is kept after all.
    expect((await ended(view.id)).gaps).toBe(0)
    expect(sha(await file(view.id, 'raw'))).toBe(sha(screen.buffer()))
  }, 90_000)

  test('is gone with its organisation', async () => {
    const org = await owner().createOrg({ body: { name: 'Short' } })
    const { name, address, port, keys } = rig.host
    const body = { name, address, port, user: rig.sshd.user, keys: keys.map(({ type, key }) => ({ type, key })) }
    const credential = { kind: 'private-key' as const, privateKey: rig.sshd.privateKey }
    const host = await owner().createHost({ params: { orgId: org.id }, body: { ...body, credential } })
    const { shellId } = await owner().execCommand({ params: { hostId: host.id }, body: { command: 'echo x' } })
    await ended(shellId)
    await owner().deleteHost({ params: { hostId: host.id } })
    await owner().deleteOrg({ params: { orgId: org.id } })
    const store = await bucket()
    await until(async () => (await store.list({ prefix: `recordings/${org.id}/` })).objects.length === 0)
    const db = await rig.edge.reopenDb()
    await until(
      async () =>
        (await db
          .prepare('SELECT count(*) AS n FROM recordings WHERE id = ?')
          .bind(shellId as ShellId)
          .first('n')) === 0,
    )
  })
})
