import { Duplex } from 'node:stream'
import { type Pacer, pacer } from './pacer.ts'

/** Most bytes and lines before the identification line (RFC 4253 §4.2 allows any; a flood of them costs seconds of CPU). */
const PREFACE_BYTES_MAX = 8 * 1024
const PREFACE_LINES_MAX = 50
/** RFC 4253 §4.2: the identification line, CR LF included. */
const IDENT_BYTES_MAX = 255
/** What a stranger may say before it has let us in: a key exchange and a banner take a few kilobytes. */
const STRANGER_BYTES_MAX = 256 * 1024
/** What may wait for a target that does not read: more than a full SSH window, so an honest one never gets here. */
const OUTGOING_BYTES_MAX = 8 * 1024 * 1024

/** A socket to a target, in front of the SSH library: it lets through nothing before a sane identification line. */
export interface Guard {
  readonly sock: Duplex
  /** Whether the identification line was seen. */
  isSsh(): boolean
  /** Whether the target was cut for what it sent before it. */
  isCut(): boolean
  /** It has let us in: from now on windows bound what it says. */
  trust(): void
}

/**
 * Stands between `socket`, or a tunnel through another host, and the SSH library, which gets what comes in turns. Closing either side closes the
 * other.
 */
export function createGuard(socket: Duplex, turns: Pacer = pacer): Guard {
  let preface: Buffer | undefined = Buffer.alloc(0)
  let isCut = false
  let strangerBytes = 0
  let isFull = false
  let hasEnded = false
  let hasClosed = false

  const lane = turns.join(
    (bytes) => {
      isFull = !sock.push(bytes)
    },
    () => {
      if (hasEnded) sock.push(null)
      if (hasClosed) sock.destroy()
      else if (!isFull && !hasEnded) socket.resume()
    },
  )
  const sock = new Duplex({
    read: () => {
      isFull = false
      if (!lane.isWaiting()) socket.resume()
    },
    write(chunk: Buffer, _encoding, callback) {
      if (socket.write(chunk)) callback()
      else socket.once('drain', callback)
    },
    final(callback) {
      socket.end(callback)
    },
    destroy(error, callback) {
      lane.leave()
      socket.destroy()
      callback(error)
    },
  })
  const cut = (): void => {
    isCut = true
    sock.destroy()
  }
  socket.on('data', (chunk: Buffer) => {
    if (sock.writableLength + socket.writableLength > OUTGOING_BYTES_MAX) return cut()
    strangerBytes += chunk.length
    if (strangerBytes > STRANGER_BYTES_MAX) return cut()
    const ready = preface === undefined ? chunk : readPreface(Buffer.concat([preface, chunk]))
    if (ready === 'cut') return cut()
    if (ready === 'more') {
      preface = Buffer.concat([preface ?? Buffer.alloc(0), chunk])
      return
    }
    preface = undefined
    lane.push(ready)
    if (isFull || lane.isWaiting()) socket.pause()
  })
  socket.on('end', () => {
    hasEnded = true
    if (!lane.isWaiting()) sock.push(null)
  })
  socket.on('error', (error) => sock.destroy(error))
  socket.on('close', () => {
    hasClosed = true
    // What has come is still taken, in its turns.
    if (!lane.isWaiting()) sock.destroy()
  })
  const trust = (): void => {
    strangerBytes = Number.NEGATIVE_INFINITY
  }
  return { sock, isSsh: () => preface === undefined, isCut: () => isCut, trust }
}

/** What follows the greeting lines, from the identification line on; `more` while it is not whole, `cut` when it can never be sane. */
export function readPreface(bytes: Buffer): Buffer | 'more' | 'cut' {
  let lineStart = 0
  for (let lines = 0; lines <= PREFACE_LINES_MAX; lines += 1) {
    const lineEnd = bytes.indexOf(0x0a, lineStart)
    const isIdent = bytes.subarray(lineStart, lineStart + 4).toString('latin1') === 'SSH-'
    const lineBytes = (lineEnd === -1 ? bytes.length : lineEnd + 1) - lineStart
    if (isIdent && lineBytes > IDENT_BYTES_MAX) return 'cut'
    if (lineStart + (isIdent ? 0 : lineBytes) > PREFACE_BYTES_MAX) return 'cut'
    if (lineEnd === -1) return 'more'
    if (isIdent)
      return /^SSH-(2\.0|1\.99)-/.test(bytes.subarray(lineStart, lineStart + 9).toString('latin1')) ? bytes.subarray(lineStart) : 'cut'
    lineStart = lineEnd + 1
  }
  return 'cut'
}
