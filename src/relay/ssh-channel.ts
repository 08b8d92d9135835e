import type { Duplex, Readable } from 'node:stream'
import type { ClientChannel, SFTPWrapper } from 'ssh2'
import type { Exit, HostChannel } from './driver.ts'
import type { OpenedFile } from './file-channel.ts'
import { boundChannel, type SshConnection, sendSignal } from './ssh.ts'
import { stopRemote, within } from './stop.ts'

/** A host that does not answer does not keep its place. */
const FILE_STOP_MS = 4_000
/** Nor does one that is asked to close what it has read. */
const SFTP_CLOSE_MS = 2_000

/** A connection, for one channel. */
export interface Lease {
  readonly connection: SshConnection
  /** Gives it back. `isClean`: all that was on it ended by itself and was told, so that another may come after it. */
  leave(isClean: boolean): void
}

type SshStream = Duplex & { readonly stderr: Readable }

/** A shell or a command. An interactive shell ignores TERM and passes HUP on to its jobs. */
export function createProgramChannel(lease: Lease, channel: ClientChannel, firstSignal: 'TERM' | 'HUP'): HostChannel {
  const { connection } = lease
  const common = createChannel(connection, channel)
  // The leader's exit alone is not the end: what it has begun may live on, and then holds its output open.
  const ended = new Promise<boolean>((resolve) => connection.wiretap.onClosed(channel, resolve))
  let isStopped = false
  return {
    ...common,
    opened: { hostKey: connection.hostKey },
    resize: ({ cols, rows }) => {
      if (connection.isAlive()) channel.setWindow(rows, cols, 0, 0)
    },
    signal: (name) => sendSignal(connection, channel, name),
    stop() {
      isStopped = true
      return stopRemote({ signal: (name) => sendSignal(connection, channel, name), firstSignal, ended })
    },
    leave: once(() => {
      const isClean = common.isOver() && !isStopped
      if (isClean) common.release()
      lease.leave(isClean)
    }),
  }
}

/** A transfer. It has no terminal, and no signal reaches it. */
export function createFileChannel(lease: Lease, { channel, fileBytes, sftp }: OpenedFile & { readonly sftp: SFTPWrapper }): HostChannel {
  const { connection } = lease
  const common = createChannel(connection, channel)
  // A channel of ssh2 ends with its connection; this one has to be told.
  const lost = (): void => void channel.destroy()
  connection.client.once('close', lost)
  let isStopped = false
  return {
    ...common,
    opened: { hostKey: connection.hostKey, ...(fileBytes === undefined ? {} : { fileBytes }) },
    resize: () => undefined,
    signal: () => undefined,
    async stop() {
      isStopped = true
      const aborted = channel.abort().then(() => 'confirmed' as const)
      return (await within(aborted, FILE_STOP_MS)) ?? 'unconfirmed'
    },
    leave: once(() => {
      if (!common.isOver() || isStopped) return lease.leave(false)
      common.release()
      connection.client.off('close', lost)
      void within(closeSftp(sftp), SFTP_CLOSE_MS).then((isClosed) => lease.leave(isClosed === true))
    }),
  }
}

const closeSftp = (sftp: SFTPWrapper): Promise<boolean> =>
  new Promise((resolve) => {
    sftp.once('close', () => resolve(true))
    sftp.end()
  })

function once(act: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    act()
  }
}

interface Common extends Omit<HostChannel, 'opened' | 'resize' | 'signal' | 'stop' | 'leave'> {
  /** The host has said how it ended, and both outputs were read to their end. */
  isOver(): boolean
  /** Has no more to do with the connection: another channel may be on it. */
  release(): void
}

function createChannel(connection: SshConnection, channel: SshStream): Common {
  const { guard, isAlive } = connection
  const { sock } = guard
  let exit: Exit | undefined
  let openOutputs = 2
  let isReleased = false
  let closed = (): void => undefined
  const closeOutput = (): void => {
    openOutputs -= 1
    if (openOutputs === 0) closed()
  }
  channel.once('exit', (code: number | null, signal?: string) => {
    exit = { code: typeof code === 'number' ? code : null, signal: readSignalName(signal) }
  })
  channel.once('close', closeOutput)
  channel.stderr.once('end', closeOutput)
  for (const stream of [channel, channel.stderr]) stream.on('error', () => undefined)
  boundChannel(connection, channel)
  return {
    input: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit: () => exit,
    isAlive,
    isOver: () => exit !== undefined && openOutputs === 0 && isAlive(),
    release() {
      isReleased = true
    },
    onClosed(listener) {
      closed = listener
    },
    onRoom(listener) {
      if (sock.writableNeedDrain) sock.once('drain', listener)
      else listener()
    },
    cut: () => {
      if (!isReleased) sock.destroy()
    },
  }
}

// The name comes from the target and goes to people.
function readSignalName(signal: string | undefined): string | null {
  const name = signal?.replace(/^SIG/, '')
  return name !== undefined && /^[A-Z0-9]{1,16}$/.test(name) ? name : null
}
