import type { Duplex, Readable } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import type { Exit, HostChannel } from './driver.ts'
import type { FileChannel } from './file-channel.ts'
import { boundChannel, closeConnection, type SshConnection, sendSignal } from './ssh.ts'
import { stopRemote, within } from './stop.ts'

/** A host that does not answer does not keep its place. */
const FILE_STOP_MS = 4_000

type SshStream = Duplex & { readonly stderr: Readable }

/** A shell or a command on an SSH connection of its own. An interactive shell ignores TERM and passes HUP on to its jobs. */
export function createProgramChannel(connection: SshConnection, channel: ClientChannel, firstSignal: 'TERM' | 'HUP'): HostChannel {
  // The leader's exit alone is not the end: what it has begun may live on, and then holds its output open.
  const ended = new Promise<boolean>((resolve) => connection.wiretap.onClosed(channel, resolve))
  return {
    ...createChannel(connection, channel),
    opened: { hostKey: connection.hostKey },
    resize: ({ cols, rows }) => {
      if (connection.isAlive()) channel.setWindow(rows, cols, 0, 0)
    },
    signal: (name) => sendSignal(connection, channel, name),
    stop: () => stopRemote({ signal: (name) => sendSignal(connection, channel, name), firstSignal, ended }),
  }
}

/** A transfer on an SSH connection of its own. It has no terminal, and no signal reaches it. */
export function createFileChannel(connection: SshConnection, channel: FileChannel, fileBytes: number | undefined): HostChannel {
  return {
    ...createChannel(connection, channel),
    opened: { hostKey: connection.hostKey, ...(fileBytes === undefined ? {} : { fileBytes }) },
    resize: () => undefined,
    signal: () => undefined,
    stop: async () =>
      (await within(
        channel.abort().then(() => 'confirmed' as const),
        FILE_STOP_MS,
      )) ?? 'unconfirmed',
  }
}

function createChannel(connection: SshConnection, channel: SshStream): Omit<HostChannel, 'opened' | 'resize' | 'signal' | 'stop'> {
  const { guard, isAlive } = connection
  const { sock } = guard
  let exit: Exit | undefined
  channel.once('exit', (code: number | null, signal?: string) => {
    exit = { code: typeof code === 'number' ? code : null, signal: readSignalName(signal) }
  })
  for (const stream of [channel, channel.stderr]) stream.on('error', () => undefined)
  boundChannel(connection, channel)
  return {
    input: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit: () => exit,
    isAlive,
    onClosed(listener) {
      let openOutputs = 2
      const closeOutput = (): void => {
        openOutputs -= 1
        if (openOutputs === 0) listener()
      }
      channel.once('close', closeOutput)
      channel.stderr.once('end', closeOutput)
    },
    onRoom(listener) {
      if (sock.writableNeedDrain) sock.once('drain', listener)
      else listener()
    },
    leave: () => closeConnection(connection),
    cut: () => void sock.destroy(),
  }
}

// The name comes from the target and goes to people.
function readSignalName(signal: string | undefined): string | null {
  const name = signal?.replace(/^SIG/, '')
  return name !== undefined && /^[A-Z0-9]{1,16}$/.test(name) ? name : null
}
