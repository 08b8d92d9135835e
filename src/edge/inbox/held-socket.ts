import { INBOX_FRAME_CHARS_MAX } from '../../contract/inbox.ts'
import { Problem, type ProblemSlug } from '../../contract/problem.ts'

/** What a client may say before it is let in: it need not wait for that. */
const FRAMES_MAX = 16
const CHARS_MAX = 65_536

/** A socket whose other end is not there yet: what it says waits, and how it leaves is not missed. */
export interface HeldSocket {
  readonly socket: WebSocket
  /** What it said first. @throws Problem `unauthenticated` when it says nothing in time, `invalid-request` or `payload-too-large` */
  readonly first: (ms: number) => Promise<string>
  /** Joins it to the other end, which hears what it has said since and says. @throws Problem when it has left, or has said too much */
  readonly join: (inner: WebSocket) => void
}

/** Listens to a socket from now on. */
export function holdSocket(socket: WebSocket): HeldSocket {
  const said: string[] = []
  let chars = 0
  let problem: ProblemSlug | undefined
  let inner: WebSocket | undefined
  let stir = (): void => undefined

  function hear(data: unknown): void {
    if (inner) return say(inner, data as string | ArrayBuffer)
    if (problem) return
    if (typeof data !== 'string') problem ??= 'invalid-request'
    else said.push(data)
    chars += typeof data === 'string' ? data.length : 0
    if (said.length > FRAMES_MAX || chars > CHARS_MAX) problem ??= 'payload-too-large'
    stir()
  }

  socket.addEventListener('message', ({ data }) => hear(data))
  socket.addEventListener('close', ({ code, reason }) => {
    problem ??= 'unauthenticated'
    stir()
    if (inner) leave(inner, code, reason)
  })

  const take = (): string | undefined => {
    if (problem) throw new Problem(problem)
    const frame = said.shift()
    if (frame !== undefined && frame.length > INBOX_FRAME_CHARS_MAX) throw new Problem('invalid-request')
    return frame
  }

  return {
    socket,
    first: (ms) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Problem('unauthenticated')), ms)
        stir = () => {
          try {
            const frame = take()
            if (frame === undefined) return
            resolve(frame)
          } catch (error) {
            reject(error)
          }
          clearTimeout(timer)
          stir = () => undefined
        }
        stir()
      }),
    join(other) {
      other.accept()
      if (problem) {
        leave(other, 1000, '')
        throw new Problem(problem)
      }
      other.addEventListener('message', ({ data }) => say(socket, data as string | ArrayBuffer))
      other.addEventListener('close', ({ code, reason }) => leave(socket, code, reason))
      inner = other
      for (const frame of said.splice(0)) say(other, frame)
    },
  }
}

function say(socket: WebSocket, data: string | ArrayBuffer): void {
  try {
    socket.send(data)
  } catch {
    // The other end is gone; its own close follows.
  }
}

function leave(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code === 1000 || code >= 3000 ? code : 1000, reason)
  } catch {
    // It is closed already.
  }
}
