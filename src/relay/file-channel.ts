import { randomBytes } from 'node:crypto'
import { Duplex, PassThrough, Readable } from 'node:stream'
import type { Client, SFTPWrapper, Stats } from 'ssh2'
import type { GrantRequest } from '../contract/krp.ts'
import { answerOf, newPathOf, realPathOf, refusalOfStatus } from './file-path.ts'
import { Refusal } from './refusal.ts'

type FileRequest = Extract<GrantRequest, { kind: 'file' }>

/** What one SFTP packet carries. */
const CHUNK_BYTES = 32 * 1024
/** Packets under way: enough for a long line, little memory. */
const CHUNKS_AHEAD = 16
/** What a list tells of at most. */
const ENTRIES_MAX = 5_000
/** A link that leads to nothing, or what a host says of a name that is no name. */
const NAME = /^[^/\0]{1,255}$/

/** One transfer, in the shape of a channel: output is what is read, input what is written, `exit` says how it went. */
export interface FileChannel extends Duplex {
  readonly stderr: Readable
  /** Gives it up; what was half written is removed. */
  abort(): Promise<void>
}

/** A transfer that has begun, and how many bytes come when that is known. */
export interface OpenedFile {
  readonly channel: FileChannel
  readonly fileBytes: number | undefined
}

/** The file subsystem of a host. @throws Refusal file-unsupported */
export function openSftp(client: Client): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => reject(new Refusal('file-unsupported'))
    client.once('close', refuse)
    try {
      client.sftp((error, sftp) => {
        client.off('close', refuse)
        if (error) return refuse()
        sftp.on('error', () => undefined)
        resolve(sftp)
      })
    } catch {
      refuse()
    }
  })
}

/** Begins to list, read or write. Nothing is changed on the host before all rules hold. @throws Refusal */
export async function openFile(client: Client, sftp: SFTPWrapper, request: FileRequest): Promise<OpenedFile> {
  let lost = (): void => undefined
  // What is asked after the host has closed the channel is answered by nobody, the library included.
  const gone = new Promise<never>((_, reject) => {
    lost = () => reject(new Refusal('file-failed'))
    client.once('close', lost)
  })
  gone.catch(() => undefined)
  try {
    return await Promise.race([begin(sftp, request), gone])
  } finally {
    client.off('close', lost)
  }
}

function begin(sftp: SFTPWrapper, request: FileRequest): Promise<OpenedFile> {
  if (request.op === 'list') return openList(sftp, request)
  return request.op === 'read' ? openRead(sftp, request) : openWrite(sftp, request)
}

async function openList(sftp: SFTPWrapper, { path, roots }: FileRequest): Promise<OpenedFile> {
  const real = await realPathOf(sftp, path, roots)
  const stats = await answerOf<Stats>((done) => sftp.lstat(real, done))
  if (!stats.isDirectory()) throw new Refusal('file-wrong-kind')
  const entries = await readFolder(sftp, real)
  const lines = entries.slice(0, ENTRIES_MAX).map(({ filename: name, attrs }) => ({
    name,
    type: kindOf(attrs),
    bytes: attrs.size,
    mode: attrs.mode & 0o7777,
    modifiedAt: attrs.mtime,
  }))
  const text = JSON.stringify({ path: real, entries: lines, isTruncated: entries.length > ENTRIES_MAX })
  return { channel: outgoing(Readable.from([Buffer.from(text)])), fileBytes: undefined }
}

interface Entry {
  readonly filename: string
  readonly attrs: Stats
}

/** Packet by packet, for the host decides how many there are; one more than is told of says that there are more. */
async function readFolder(sftp: SFTPWrapper, path: string): Promise<readonly Entry[]> {
  const handle = await answerOf<Buffer>((done) => sftp.opendir(path, done))
  const found: Entry[] = []
  while (found.length <= ENTRIES_MAX) {
    const page = await new Promise<readonly Entry[] | undefined>((resolve, reject) => {
      sftp.readdir(handle, (error, list) => {
        if (!error) resolve(list)
        else if (isEnd(error)) resolve(undefined)
        else reject(refusalOfStatus(error))
      })
    })
    if (!page) break
    found.push(...page.filter(({ filename }) => NAME.test(filename) && filename !== '.' && filename !== '..'))
  }
  return found
}

function kindOf(stats: Stats): 'file' | 'folder' | 'link' | 'other' {
  if (stats.isSymbolicLink()) return 'link'
  return stats.isDirectory() ? 'folder' : stats.isFile() ? 'file' : 'other'
}

async function openRead(sftp: SFTPWrapper, { path, roots, bytesMax }: FileRequest): Promise<OpenedFile> {
  const real = await realPathOf(sftp, path, roots)
  // A pipe or a device would block or never end, and opening one can change something.
  if (!(await answerOf<Stats>((done) => sftp.lstat(real, done))).isFile()) throw new Refusal('file-wrong-kind')
  const handle = await answerOf<Buffer>((done) => sftp.open(real, 'r', done))
  const stats = await answerOf<Stats>((done) => sftp.fstat(handle, done))
  if (!stats.isFile()) throw new Refusal('file-wrong-kind')
  if (stats.size > bytesMax) throw new Refusal('file-too-large')
  return { channel: outgoing(Readable.from(chunksOf(sftp, handle, stats.size))), fileBytes: stats.size }
}

/** Asked for ahead, told in order. A file that has shrunk ends early, which its reader sees by the count. */
async function* chunksOf(sftp: SFTPWrapper, handle: Buffer, bytes: number): AsyncGenerator<Buffer> {
  const ahead: Promise<Buffer>[] = []
  let next = 0
  while (next < bytes || ahead.length > 0) {
    while (ahead.length < CHUNKS_AHEAD && next < bytes) {
      const chunk = readAt(sftp, handle, { at: next, bytes: Math.min(CHUNK_BYTES, bytes - next) })
      chunk.catch(() => undefined)
      ahead.push(chunk)
      next += CHUNK_BYTES
    }
    const chunk = await ahead.shift()
    if (!chunk || chunk.length === 0) return
    yield chunk
  }
}

async function readAt(sftp: SFTPWrapper, handle: Buffer, { at, bytes }: { readonly at: number; readonly bytes: number }): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes)
  let filled = 0
  while (filled < bytes) {
    const n = await new Promise<number>((resolve, reject) => {
      sftp.read(handle, buffer, filled, bytes - filled, at + filled, (error, count) =>
        error ? (isEnd(error) ? resolve(0) : reject(error)) : resolve(count),
      )
    })
    if (n === 0) break
    filled += n
  }
  return buffer.subarray(0, filled)
}

const isEnd = (error: unknown): boolean => error instanceof Error && Reflect.get(error, 'code') === 1

function outgoing(source: Readable): FileChannel {
  const channel: Duplex = new Duplex({
    read: () => void source.resume(),
    write: (_chunk, _encoding, done) => done(),
    destroy(error, done) {
      source.destroy()
      done(error)
    },
  })
  const end = (code: number) => {
    channel.emit('exit', code)
    channel.push(null)
    channel.end()
  }
  // Nothing flows before somebody reads, or the end could come before anybody listens.
  source.pause()
  source.on('data', (chunk: Buffer) => void (channel.push(chunk) || source.pause()))
  source.once('end', () => end(0))
  source.once('error', () => end(1))
  return complete(channel, async () => undefined)
}

async function openWrite(sftp: SFTPWrapper, { path, roots, bytesMax, overwrite }: FileRequest): Promise<OpenedFile> {
  const { path: real, present } = await newPathOf(sftp, path, roots)
  if (present && overwrite !== true) throw new Refusal('file-exists')
  const cut = real.lastIndexOf('/') + 1
  const temporary = `${real.slice(0, cut)}.${real.slice(cut).slice(0, 200)}.${randomBytes(6).toString('hex')}`
  const mode = present ? present.mode & 0o777 : 0o644
  const handle = await answerOf<Buffer>((done) => sftp.open(temporary, 'wx', { mode }, done))
  const place = async (): Promise<void> => {
    await answerOf<void>((done) => sftp.close(handle, (error) => done(error, undefined)))
    // Replaces in one step where it may; else the name must still be free.
    if (overwrite === true) await answerOf<void>((done) => sftp.ext_openssh_rename(temporary, real, (error) => done(error, undefined)))
    else await answerOf<void>((done) => sftp.rename(temporary, real, (error) => done(error, undefined)))
  }
  const remove = (): Promise<void> =>
    answerOf<void>((done) => sftp.unlink(temporary, (error) => done(error, undefined))).catch(() => undefined)
  return { channel: incoming({ sftp, handle, bytesMax, place, remove }), fileBytes: undefined }
}

interface Incoming {
  readonly sftp: SFTPWrapper
  readonly handle: Buffer
  readonly bytesMax: number
  readonly place: () => Promise<void>
  readonly remove: () => Promise<void>
}

/** The codes with which a transfer ends: of SFTP where the host said one. */
const FAILED = 4

function incoming({ sftp, handle, bytesMax, place, remove }: Incoming): FileChannel {
  let at = 0
  let failed: number | undefined
  let isPlaced = false
  let finishing: Promise<void> | undefined
  const inFlight = new Set<Promise<void>>()
  const finish = async (): Promise<void> => {
    await Promise.all(inFlight)
    try {
      if (failed === undefined) {
        await place()
        isPlaced = true
      }
    } catch {
      failed = FAILED
    }
    if (!isPlaced) await remove()
    channel.emit('exit', isPlaced ? 0 : failed)
    channel.push(null)
  }
  const write = (chunk: Buffer): Promise<void> => {
    const position = at
    at += chunk.length
    if (at > bytesMax) failed ??= FAILED
    if (failed !== undefined) return Promise.resolve()
    return new Promise((resolve) => {
      sftp.write(handle, chunk, 0, chunk.length, position, (error) => {
        if (error) failed ??= Number(Reflect.get(error, 'code')) || FAILED
        resolve()
      })
    })
  }
  const channel: Duplex = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      const written = write(chunk)
      inFlight.add(written)
      void written.then(() => inFlight.delete(written))
      if (inFlight.size < CHUNKS_AHEAD) done()
      else void written.then(() => done())
    },
    final(done) {
      finishing = finish()
      void finishing.then(() => done())
    },
  })
  return complete(channel, async () => {
    if (!finishing) failed ??= FAILED
    // What is being put in its place is there or not when that is over; nobody says before.
    await (finishing ?? Promise.all(inFlight).then(remove))
  })
}

function complete(channel: Duplex, abort: () => Promise<void>): FileChannel {
  const stderr = new PassThrough()
  stderr.end()
  return Object.assign(channel, {
    stderr,
    async abort() {
      await abort()
      channel.destroy()
    },
  })
}
