import { createHash } from 'node:crypto'
import ssh2, { type Connection, type SFTPWrapper } from 'ssh2'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { GrantRequest } from '../../src/contract/krp.ts'
import { generateDemoHostKey } from '../../src/dev/demo-host.ts'
import { until } from '../until.ts'
import { startTestRelay } from './harness.ts'

const { OK, EOF, FAILURE, NO_SUCH_FILE } = ssh2.utils.sftp.STATUS_CODE
const FOLDER = 0o40755
const FILE = 0o100644

interface Attributes {
  readonly mode: number
  readonly size: number
}
/** What a host says of its files, however untrue. */
interface Files {
  readonly stats?: (path: string) => Attributes
  readonly realPath?: (path: string) => string
  /** The next names of a folder; none at its end. */
  readonly page?: (nth: number) => readonly string[] | undefined
  readonly read?: (at: number, bytes: number, client: Connection) => Buffer | undefined
  readonly isThere?: (path: string) => boolean
  /** Called in place of an answer to a rename, with what answers that it was done. */
  readonly renamed?: (done: () => void) => void
  /** Called in place of an answer to `open`. */
  readonly opened?: (client: Connection) => void
}

const attributes = ({ mode, size }: Attributes) => ({ mode, size, uid: 0, gid: 0, atime: 0, mtime: 0 })

function serve(sftp: SFTPWrapper, client: Connection, files: Files): void {
  const handle = Buffer.from('handle')
  const stats = (path: string) => attributes(files.stats?.(path) ?? { mode: FILE, size: 5 })
  let pages = 0
  sftp.on('error', () => undefined)
  sftp.on('REALPATH', (id, path) =>
    sftp.name(id, [{ filename: files.realPath?.(path) ?? path, longname: '', attrs: stats(path) }] as never),
  )
  sftp.on('LSTAT', (id, path) => {
    if (files.isThere?.(path) === false) sftp.status(id, NO_SUCH_FILE)
    else sftp.attrs(id, stats(path) as never)
  })
  sftp.on('WRITE', (id) => void sftp.status(id, OK))
  sftp.on('RENAME', (id) => files.renamed?.(() => sftp.status(id, OK)))
  sftp.on('FSTAT', (id) => sftp.attrs(id, stats('handle') as never))
  sftp.on('OPENDIR', (id) => sftp.handle(id, handle))
  sftp.on('OPEN', (id) => {
    if (files.opened) files.opened(client)
    else sftp.handle(id, handle)
  })
  sftp.on('READDIR', (id) => {
    const names = files.page?.(pages++)
    if (!names) return void sftp.status(id, EOF)
    sftp.name(id, names.map((filename) => ({ filename, longname: '', attrs: attributes({ mode: FILE, size: 1 }) })) as never)
  })
  sftp.on('READ', (id, _handle, at, bytes) => {
    const data = files.read?.(at, bytes, client)
    if (data) sftp.data(id, data)
    else sftp.status(id, files.read ? EOF : FAILURE)
  })
  sftp.on('CLOSE', (id) => void sftp.status(id, OK))
}

/** A host with these files, a relay, and a way to ask for one. */
async function against(files: Files) {
  const hostKey = generateDemoHostKey()
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    client.on('error', () => undefined)
    client.on('authentication', (attempt) => attempt.accept())
    client.on('session', (accept) => accept().on('sftp', (take) => serve(take(), client, files)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const relay = await startTestRelay([port])
  onTestFinished(() => relay.relay.close())
  const link = await relay.link()
  const key = ssh2.utils.parseKey(hostKey)
  if (key instanceof Error) throw key
  const fingerprint = `SHA256:${createHash('sha256').update(key.getPublicSSH()).digest('base64').replace(/=+$/, '')}`
  const ask = (
    op: 'list' | 'read' | 'write',
    more: { readonly path?: string; readonly roots?: string[]; readonly bytesMax?: number } = {},
  ) => {
    const target = { host: '127.0.0.1', port, username: 'u', pins: [{ type: 'ssh-ed25519' as const, fingerprint }], env: {} }
    const limits = { path: '/srv/x', roots: ['/'], bytesMax: 1_000_000, detachSeconds: 0 as const, timeoutSeconds: 60 }
    const request: GrantRequest = { kind: 'file', ...target, op, ...limits, ...more }
    return link.open(request, { kind: 'password', password: 'x' })
  }
  const shells = async () => {
    const text = await (await fetch(`http://127.0.0.1:${relay.relay.healthPort}/metrics`)).text()
    return Number(/^parvis_relay_shells (\d+)/m.exec(text)?.[1])
  }
  return { ask, shells, relay }
}

describe('a host that lies about its files', () => {
  test('lists page by page: what is no name is left out, and more than 5,000 are cut and said to be', async () => {
    let pages = 0
    const evil = ['../up', 'a/b', 'nul\0', '', '.', '..', 'x'.repeat(300)]
    const page = (nth: number) => {
      pages += 1
      return [...(nth === 0 ? evil : []), ...Array.from({ length: 100 }, (_, i) => `${nth}-${i}`)]
    }
    const { ask } = await against({ stats: () => ({ mode: FOLDER, size: 0 }), page })
    const stream = await ask('list')
    await stream.opened()
    await stream.exit()
    const { entries, isTruncated } = JSON.parse(stream.stdout()) as { entries: { name: string }[]; isTruncated: boolean }
    expect([entries.length, isTruncated, pages]).toEqual([5_000, true, 51])
    expect(entries.filter(({ name }) => evil.includes(name))).toEqual([])
  })

  test('is asked for nothing of a file of 2^63 bytes, and of one that is shorter than it says what is there', async () => {
    const huge = await against({ stats: () => ({ mode: FILE, size: 2 ** 63 }) })
    expect(await (await huge.ask('read')).failed()).toBe('file-too-large')
    const short = await against({
      stats: () => ({ mode: FILE, size: 10 }),
      read: (at) => (at < 5 ? Buffer.from('short').subarray(at) : undefined),
    })
    const stream = await short.ask('read')
    expect(await stream.opened()).toMatchObject({ fileBytes: 10 })
    await stream.exit()
    expect(stream.stdout()).toBe('short')
  })

  test('says where a path really leads, and is believed only inside the roots', async () => {
    const { ask } = await against({ realPath: (path) => (path === '/srv/x' ? '/etc/passwd' : path) })
    expect(await (await ask('read', { roots: ['/srv'] })).failed()).toBe('file-outside')
    const near = await against({ realPath: (path) => (path === '/srv/x' ? '/srvx/x' : path) })
    expect(await (await near.ask('read', { roots: ['/srv'] })).failed()).toBe('file-outside')
  })

  test('and calls real what still has a link in it is not believed where the roots are narrower than all', async () => {
    const links = ['/srv/x']
    const stats = (path: string) => ({
      mode: links.includes(path) ? 0o120777 : ['/srv/x/passwd', 'handle'].includes(path) ? FILE : FOLDER,
      size: 1,
    })
    const { ask } = await against({ stats, read: (at) => (at === 0 ? Buffer.from('x') : undefined) })
    expect(await (await ask('read', { path: '/srv/x/passwd', roots: ['/srv'] })).failed()).toBe('file-outside')
    expect(await (await ask('list', { path: '/srv/../etc', roots: ['/srv'] })).failed()).toBe('file-outside')
    links.length = 0
    const stream = await ask('read', { path: '/srv/x/passwd', roots: ['/srv'] })
    await stream.opened()
    await stream.exit()
    expect(stream.stdout()).toBe('x')
  })

  test('and takes its time to put an upload in its place decides itself whether that was done', async () => {
    let rename = (): void => undefined
    const asked = new Promise<void>((resolve) => {
      rename = resolve
    })
    let place = (): void => undefined
    const { ask } = await against({
      stats: (path) => ({ mode: path === '/srv' ? FOLDER : FILE, size: 0 }),
      isThere: (path) => path === '/srv',
      renamed: (done) => {
        place = done
        rename()
      },
    })
    const stream = await ask('write')
    await stream.opened()
    stream.send('whole')
    stream.endInput()
    await asked
    stream.close()
    place()
    expect(await stream.exit()).toMatchObject({ code: 0, cause: 'dialer', killed: 'confirmed' })
  })

  test('and leaves before or in the middle of a transfer gives its place back', async () => {
    const mute = await against({ opened: (client) => client.end() })
    expect(await (await mute.ask('read')).failed()).toBe('file-failed')
    await until(async () => (await mute.shells()) === 0)
    const leaving = await against({
      stats: () => ({ mode: FILE, size: 1_000_000 }),
      read: (at, bytes, client) => {
        if (at > 100_000) client.end()
        return Buffer.alloc(bytes)
      },
    })
    const stream = await leaving.ask('read')
    await stream.opened()
    expect(await stream.exit()).not.toMatchObject({ code: 0 })
    await until(async () => (await leaving.shells()) === 0)
    expect(leaving.relay.events('bug')).toEqual([])
  })
})
