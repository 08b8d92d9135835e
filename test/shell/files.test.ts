import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FILE_BYTES_MAX } from '../../src/contract/files.ts'
import type { TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { problemOf, type Rig, startRig, until } from './rig.ts'

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describeWith('sshd', 'files of a host', () => {
  let rig: Rig
  let reader: TestUser
  let operator: TestUser
  let root: string
  beforeAll(async () => {
    rig = await startRig({ sshd: { lines: ['Subsystem sftp internal-sftp'] } })
    reader = await rig.member('reader')
    operator = await rig.member('operator')
    root = join(rig.sshd.directory, 'files')
    for (const name of ['', 'in', 'out', 'locked']) mkdirSync(join(root, name))
    for (const name of ['', 'in', 'out']) chmodSync(join(root, name), 0o777)
    chmodSync(join(root, 'locked'), 0o700)
  })
  afterAll(() => rig.stop())

  const at = (path: string, more = '') => `/v1/hosts/${rig.host.id}/file?path=${encodeURIComponent(path)}${more}`
  const call = async (
    method: string,
    path: string,
    { user = rig.owner, ...init }: { user?: TestUser; body?: unknown; signal?: AbortSignal } = {},
  ) =>
    rig.edge.request(path, {
      method,
      headers: { authorization: `Bearer ${await user.client.accessToken()}` },
      duplex: 'half',
      ...init,
    } as RequestInit)
  const slugOf = async (response: Promise<Response> | Response) => {
    const { type } = (await (await response).json()) as { type: string }
    return type.slice('/problems/'.length)
  }
  const get = (path: string, user?: TestUser) => call('GET', at(path), user ? { user } : {})
  const put = (path: string, body: unknown, more = '') => call('PUT', at(path, more), { body })
  const list = (path: string, user = rig.owner) => user.client.listFiles({ params: { hostId: rig.host.id }, query: { path } })
  const logged = async (command: string) => {
    const { results } = await rig.edge.db
      .prepare('SELECT state, problem, user_id FROM shell_commands WHERE command = ?')
      .bind(command)
      .all()
    return results
  }
  const policy = async (change: object) => {
    const { etag, ...now } = await rig.owner.client.getShellPolicy({ params: { orgId: rig.org.id } })
    await rig.owner.client.putShellPolicy({ params: { orgId: rig.org.id }, ifMatch: etag, body: { ...now, ...change } })
  }

  test('twenty megabytes go there and come back the same, and both are on record', async () => {
    const bytes = randomBytes(20 * 1024 * 1024)
    const path = join(root, 'in/large.bin')
    const written = await put(path, bytes)
    expect([written.status, await written.json()]).toEqual([201, { bytes: bytes.length }])
    expect(readFileSync(path).equals(bytes)).toBe(true)
    const read = await get(path, operator)
    expect(Object.fromEntries(read.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': "attachment; filename*=UTF-8''large.bin",
      'content-length': String(bytes.length),
    })
    expect(Buffer.from(await read.arrayBuffer()).equals(bytes)).toBe(true)
    expect(
      await until(async () => (await logged(`sftp read ${path}`))[0]?.['state'] === 'done' && (await logged(`sftp read ${path}`))),
    ).toMatchObject([{ user_id: operator.id }])
    expect(await logged(`sftp write ${path}`)).toMatchObject([{ state: 'done', user_id: rig.owner.id }])
    const sha256 = sha(bytes)
    const { items } = await rig.owner.client.listCommands({ params: { orgId: rig.org.id }, query: { text: path } })
    expect(items.map(({ fileBytes, fileSha256, stdoutBytes }) => ({ fileBytes, fileSha256, stdoutBytes }))).toEqual([
      { fileBytes: bytes.length, fileSha256: sha256, stdoutBytes: bytes.length },
      { fileBytes: bytes.length, fileSha256: sha256, stdoutBytes: null },
    ])
    const file = await rig.owner.client.createCommandExport({ params: { orgId: rig.org.id }, body: { format: 'csv', text: path } })
    const [header, ...lines] = (await (await rig.edge.request(file.path)).text()).trimEnd().split(/\r?\n/)
    expect(header).toContain('"fileBytes","fileSha256"')
    expect(lines.filter((line) => line.includes(sha256))).toHaveLength(2)
    const { results } = await rig.edge.db
      .prepare("SELECT action, cause FROM audit_entries WHERE action LIKE 'file.%' ORDER BY action")
      .all()
    expect(results).toEqual([
      { action: 'file.read', cause: `${rig.host.id} ${path}` },
      { action: 'file.write', cause: `${rig.host.id} ${path}` },
    ])
  })

  test('a list tells names, kinds and sizes, and names are data', async () => {
    writeFileSync(join(root, 'out/a\u001b[31m.txt'), 'abc')
    mkdirSync(join(root, 'out/folder'))
    symlinkSync('/etc', join(root, 'out/link'))
    const { path, entries, isTruncated } = await list(join(root, 'out'))
    expect([path, isTruncated]).toEqual([join(root, 'out'), false])
    expect(entries.map(({ name, type, bytes }) => [name, type, type === 'file' ? bytes : 0]).sort()).toEqual([
      ['a\u001b[31m.txt', 'file', 3],
      ['folder', 'folder', 0],
      ['link', 'link', 0],
    ])
  })

  test('an empty file and a name in any script are files like others', async () => {
    const path = join(root, 'in/naïve 漢字 "x".txt')
    expect((await put(path, '')).status).toBe(201)
    const read = await get(path)
    expect([read.status, await read.text()]).toEqual([200, ''])
  })

  test('the client carries bytes of every kind there, and a stream back', async () => {
    const path = join(root, 'in/typed.bin')
    const at = { params: { hostId: rig.host.id }, query: { path } }
    const over = { ...at, query: { path, overwrite: true } }
    const { client } = rig.owner
    expect(await client.writeFile({ ...at, bytes: new Uint8Array([1, 2, 3]) })).toEqual({ bytes: 3 })
    expect(await problemOf(client.writeFile({ ...at, bytes: 'again' }))).toMatchObject({ slug: 'file-exists' })
    const large = randomBytes(300_000)
    expect(await client.writeFile({ ...over, bytes: new Blob([large]).stream() })).toEqual({ bytes: large.length })
    const { bytes, body } = await client.readFile(at)
    expect(bytes).toBe(large.length)
    expect(Buffer.from(await new Response(body as BodyInit).arrayBuffer()).equals(large)).toBe(true)
    expect(await problemOf(client.readFile({ ...at, query: { path: `${path}x` } }))).toMatchObject({ slug: 'file-not-found' })
  })

  test('a write appears whole or not at all, and replaces only what it is told to', async () => {
    const path = join(root, 'in/kept.txt')
    expect((await put(path, 'first')).status).toBe(201)
    expect(await slugOf(put(path, 'second'))).toBe('file-exists')
    expect(readFileSync(path, 'utf8')).toBe('first')
    expect((await put(path, 'third', '&overwrite=true')).status).toBe(201)
    expect(readFileSync(path, 'utf8')).toBe('third')
    const headers = { authorization: `Bearer ${await rig.owner.client.accessToken()}`, 'content-length': String(8 * 1024 * 1024) }
    const cut = request(new URL(at(join(root, 'in/cut')), rig.edge.origin), { method: 'PUT', headers })
    cut.on('error', () => undefined)
    cut.write(randomBytes(1024 * 1024))
    await until(() => readdirSync(join(root, 'in')).some((name) => name.startsWith('.cut.')))
    cut.destroy()
    await until(() => !readdirSync(join(root, 'in')).some((name) => name.startsWith('.')))
    expect(existsSync(join(root, 'in/cut'))).toBe(false)
  })

  test('a reader that goes away midway ends the transfer', async () => {
    const path = join(root, 'in/large.bin')
    const before = (await logged(`sftp read ${path}`)).length
    const read = await get(path)
    const stream = read.body!.getReader()
    await stream.read()
    await stream.cancel()
    await until(async () => {
      const rows = await logged(`sftp read ${path}`)
      return rows.length === before + 1 && rows.every(({ state }) => state !== 'running')
    })
    await until(() => rig.relay().events('shell-closed').length >= 2)
    const { items } = await rig.owner.client.listCommands({ params: { orgId: rig.org.id }, query: { text: `sftp read ${path}` } })
    const { fileBytes, fileSha256 } = items[0] ?? {}
    expect(fileBytes).toBeGreaterThan(0)
    expect(fileSha256).toBe(sha(readFileSync(path).subarray(0, fileBytes ?? 0)))
  })

  test('a transfer that cannot open, as its host’s secret cannot be read, leaves no link to the relay behind', async () => {
    const open = () => rig.relay().events('link-opened').length - rig.relay().events('link-closed').length
    await until(() => open() === 0)
    const before = rig.relay().events('link-opened').length
    const row = await rig.edge.db.prepare('SELECT credential FROM hosts WHERE id = ?').bind(rig.host.id).first<{ credential: string }>()
    const put = (credential: string | undefined) =>
      rig.edge.db
        .prepare('UPDATE hosts SET credential = ? WHERE id = ?')
        .bind(credential ?? '', rig.host.id)
        .run()
    await put(row?.credential.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')))
    expect((await get(join(root, 'in/large.bin'))).status).toBeGreaterThanOrEqual(400)
    await put(row?.credential)
    expect(rig.relay().events('link-opened').length).toBeGreaterThan(before)
    await until(() => open() === 0)
    expect((await logged(`sftp read ${join(root, 'in/large.bin')}`)).map(({ state }) => state)).not.toContain('running')
  })

  test('a transfer ends with the access of whoever asked for it: a write that waits for its bytes, and a read that nobody takes from', async () => {
    const guest = await rig.member('operator')
    const path = join(root, 'in/half')
    const headers = { authorization: `Bearer ${await guest.client.accessToken()}`, 'content-length': String(8 * 1024 * 1024) }
    const half = request(new URL(at(path), rig.edge.origin), { method: 'PUT', headers })
    const answered = new Promise<number | undefined>((resolve) => {
      half.on('response', (response) => resolve(response.statusCode))
      half.on('error', () => resolve(undefined))
    })
    half.write(randomBytes(1024 * 1024))
    await until(() => readdirSync(join(root, 'in')).some((name) => name.startsWith('.half.')))
    const reading = await get(join(root, 'in/large.bin'), guest)
    await rig.owner.client.removeOrgMember({ params: { orgId: rig.org.id, userId: guest.id } })
    await until(() => !readdirSync(join(root, 'in')).some((name) => name.startsWith('.')))
    expect(existsSync(path)).toBe(false)
    await until(async () => (await logged(`sftp write ${path}`))[0]?.['state'] === 'failed')
    expect(await logged(`sftp write ${path}`)).toMatchObject([{ problem: 'forbidden' }])
    expect([403, undefined]).toContain(await answered)
    await expect(reading.arrayBuffer()).rejects.toThrow()
    expect((await logged(`sftp read ${join(root, 'in/large.bin')}`)).map(({ state }) => state)).not.toContain('running')
  }, 60_000)

  test('what the host refuses is told as what it is', async () => {
    expect(await slugOf(get(join(root, 'nowhere')))).toBe('file-not-found')
    expect(await slugOf(get(join(root, 'out')))).toBe('file-failed')
    expect(await slugOf(put(join(root, 'nowhere/x'), 'x'))).toBe('file-not-found')
    const isBound = rig.sshd.user !== 'root'
    if (isBound) {
      expect(await slugOf(get(join(root, 'locked/x')))).toBe('file-denied')
      expect(await slugOf(put(join(root, 'locked/x'), 'x'))).toBe('file-denied')
    }
    expect(await slugOf(put('/dev/full', 'x', '&overwrite=true'))).toBe('file-failed')
    execFileSync('truncate', ['-s', String(FILE_BYTES_MAX + 1), join(root, 'in/huge')])
    chmodSync(join(root, 'in/huge'), 0o644)
    expect(await slugOf(get(join(root, 'in/huge')))).toBe('payload-too-large')
    execFileSync('rm', [join(root, 'in/huge')])
    expect((await problemOf(list(join(root, 'in/kept.txt')))).slug).toBe('file-failed')
  })

  test('paths stay under the roots of the policy, whatever dots and links say', async () => {
    await policy({ fileRoots: [join(root, 'in')] })
    symlinkSync('/etc/passwd', join(root, 'in/passwd'))
    symlinkSync('/etc', join(root, 'in/etc'))
    symlinkSync(join(root, 'in'), join(root, 'in/self'))
    for (const path of ['/etc/passwd', join(root, 'in/passwd'), `${root}/in/../out/x`, `${root}/in/etc/passwd`, `${root}/input`, '/'])
      expect([path, await slugOf(get(path))]).toEqual([path, expect.stringMatching(/^file-(denied|not-found)$/)])
    for (const path of [join(root, 'in/passwd'), `${root}/in/etc/x`, `${root}/in/..`, `${root}/in/`, `${root}/out/x`])
      expect([path, await slugOf(put(path, 'x', '&overwrite=true'))]).toEqual([path, 'file-denied'])
    expect((await get(join(root, 'in/self/kept.txt'))).status).toBe(200)
    for (const path of ['etc/passwd', '', 'x\0y', `/${'x'.repeat(5_000)}`]) expect(await slugOf(get(path))).toBe('invalid-request')
    await policy({ fileRoots: null })
  })

  test('are for whoever may act on the host, where the organisation allows files', async () => {
    const path = join(root, 'in/kept.txt')
    expect(await slugOf(get(path, reader))).toBe('forbidden')
    expect(await slugOf(get(path, await rig.edge.signUp('stranger')))).toBe('not-found')
    expect((await rig.edge.request(at(path))).status).toBe(401)
    expect((await problemOf(list(root, reader))).slug).toBe('forbidden')
    await policy({ uses: ['exec', 'shell'] })
    expect(await slugOf(get(path))).toBe('forbidden')
    await policy({ uses: ['exec', 'files', 'shell'], reach: [] })
    expect(await slugOf(get(path, operator))).toBe('access-required')
    await policy({ reach: null })
  })

  test('are not moved unseen where the organisation asks for a watcher', async () => {
    const oversight = await rig.owner.client.getOversight({ params: { orgId: rig.org.id } })
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, needsWatcher: true } })
    const path = join(root, 'in/kept.txt')
    const refusal = { slug: 'forbidden', detail: expect.stringContaining('nobody can watch a transfer') }
    const at = { params: { hostId: rig.host.id }, query: { path } }
    expect(await problemOf(rig.owner.client.readFile(at))).toMatchObject(refusal)
    expect(await problemOf(rig.owner.client.writeFile({ ...at, bytes: 'x' }))).toMatchObject(refusal)
    expect(await problemOf(list(root))).toMatchObject(refusal)
    await rig.owner.client.putOversight({ params: { orgId: rig.org.id }, body: oversight })
    expect((await get(path)).status).toBe(200)
  })
})
