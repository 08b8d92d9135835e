import type { ChannelRequest, Driver, DriverDeps, Granted, HostChannel } from './driver.ts'
import { openFile, openSftp } from './file-channel.ts'
import { type NamedKept, nameKept } from './kept-name.ts'
import { connectRoute } from './route.ts'
import { closeConnection, openChannel, type SshConnection } from './ssh.ts'
import { createFileChannel, createProgramChannel, type Lease } from './ssh-channel.ts'

type SshRequest = Extract<ChannelRequest, { kind: 'shell' | 'exec' | 'file' }>

/** A kept connection may have died unheard: one that confirms no channel within this is given up for a new one. */
const KEPT_ANSWER_MS = 2_000

/** A kept connection went before it had heard of anything but a channel: a new one does what it was to do. */
class NotBegun extends Error {
  override readonly name = 'NotBegun'
}

/** Shells, commands and transfers by SSH, each with a connection to itself while it lasts. No secret is sent before the host key matches. */
export const driveSsh: Driver<SshRequest> = async (granted, deps, take) => {
  const { request, log } = granted
  const name = request.kind === 'shell' ? undefined : nameKept({ ...granted, request }, deps.sealing)
  const { opened, connection, isKept } = (await openKept({ granted, name, take }, deps)) ?? (await openNew({ granted, name, take }, deps))
  const { kex, cs } = connection.algorithms
  const { algorithms = 'modern', jumps = [] } = request
  const way = { jumps: jumps.length, algorithms, kex, cipher: cs.cipher, isKept }
  deps.noteConnection(isKept ? 'kept' : 'made')
  log.info('shell-opened', { user: request.username, hostKey: connection.hostKey.fingerprint, ...way })
  return opened
}

interface Opening<S> {
  readonly granted: Granted<SshRequest>
  /** Absent where no connection is kept. */
  readonly name: NamedKept | undefined
  readonly take: (channel: HostChannel) => S
}

interface Opened<S> {
  readonly opened: S
  readonly connection: SshConnection
  readonly isKept: boolean
}

/** On a connection that waits under this name; nothing when there is none, or when it went before anything began. */
async function openKept<S>({ granted, name, take }: Opening<S>, deps: DriverDeps): Promise<Opened<S> | undefined> {
  const kept = name && deps.kept.take(name)
  if (kept === undefined) return undefined
  try {
    return await openWithin({ granted, take, isKept: true, lease: leaseOf(kept.connection, kept, deps) }, deps)
  } catch (error) {
    if (error instanceof NotBegun) return undefined
    throw error
  }
}

async function openNew<S>({ granted, name, take }: Opening<S>, deps: DriverDeps): Promise<Opened<S>> {
  const { claims, request, secrets, ask, signal } = granted
  const { username, pins } = request
  // A command is waited for by a machine; nobody is there to answer.
  const asking = request.kind === 'shell' ? ask : undefined
  const { credential, jumpCredentials = [] } = secrets
  const connection = await connectRoute({ claims, username, pins, isLogin: true, credential, jumpCredentials, ask: asking, signal }, deps)
  return openWithin({ granted, take, isKept: false, lease: leaseOf(connection, name, deps) }, deps)
}

const leaseOf = (connection: SshConnection, name: NamedKept | undefined, { kept }: DriverDeps): Lease => ({
  connection,
  leave: (isClean) => (name !== undefined && isClean ? kept.keep({ ...name, connection }) : closeConnection(connection)),
})

interface OpeningChannel<S> extends Omit<Opening<S>, 'name'> {
  readonly lease: Lease
  readonly isKept: boolean
}

/** A channel that does not open in time, or that nobody waits for any more, goes with its connection. */
async function openWithin<S>({ granted, lease, isKept, take }: OpeningChannel<S>, deps: DriverDeps): Promise<Opened<S>> {
  const { request, signal } = granted
  const { connection } = lease
  const cut = (): void => void connection.guard.sock.destroy()
  const timer = setTimeout(cut, deps.connectSeconds * 1000)
  const unheard = isKept ? setTimeout(cut, KEPT_ANSWER_MS) : undefined
  let isConfirmed = false
  const confirmed = (): void => {
    isConfirmed = true
    clearTimeout(unheard)
  }
  signal.addEventListener('abort', cut)
  try {
    const opened =
      request.kind === 'file'
        ? await openTransfer({ lease, request, confirmed, take })
        : await openChannel(connection.client, request, {
            confirmed,
            take: (channel) => take(createProgramChannel(lease, channel, request.kind === 'exec' ? 'TERM' : 'HUP')),
          })
    return { opened, connection, isKept }
  } catch (error) {
    cut()
    throw isKept && !isConfirmed && !signal.aborted ? new NotBegun() : error
  } finally {
    clearTimeout(timer)
    clearTimeout(unheard)
    signal.removeEventListener('abort', cut)
  }
}

interface OpeningTransfer<S> extends Pick<OpeningChannel<S>, 'lease' | 'take'> {
  readonly request: Extract<SshRequest, { kind: 'file' }>
  /** From here on something may have begun. */
  readonly confirmed: () => void
}

async function openTransfer<S>({ lease, request, confirmed, take }: OpeningTransfer<S>): Promise<S> {
  const sftp = await openSftp(lease.connection.client)
  confirmed()
  return take(createFileChannel(lease, { sftp, ...(await openFile(lease.connection.client, sftp, request)) }))
}
