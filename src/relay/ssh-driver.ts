import type { ChannelRequest, Driver, Granted, TakeChannel } from './driver.ts'
import { openFile } from './file-channel.ts'
import { connectRoute } from './route.ts'
import type { Shell } from './shell.ts'
import { openChannel, type SshConnection } from './ssh.ts'
import { createFileChannel, createProgramChannel } from './ssh-channel.ts'

type SshRequest = Extract<ChannelRequest, { kind: 'shell' | 'exec' | 'file' }>

/** Shells, commands and transfers by SSH, each on a connection of its own. No secret is sent before the host key matches. */
export const driveSsh: Driver<SshRequest> = async (granted, deps, take) => {
  const { claims, request, secrets, ask, signal, log } = granted
  const { username, pins } = request
  // A command is waited for by a machine; nobody is there to answer.
  const asking = request.kind === 'shell' ? ask : undefined
  const { credential, jumpCredentials = [] } = secrets
  const route = { claims, username, pins, isLogin: true, credential, jumpCredentials, ask: asking, signal }
  const connection = await connectRoute(route, deps)
  const shell = await openWithin({ granted, connection, take }, deps.connectSeconds * 1000)
  const { kex, cs } = connection.algorithms
  const { algorithms = 'modern', jumps = [] } = request
  const way = { jumps: jumps.length, algorithms, kex, cipher: cs.cipher }
  log.info('shell-opened', { user: username, hostKey: connection.hostKey.fingerprint, ...way })
  return shell
}

interface OpeningChannel {
  readonly granted: Granted<SshRequest>
  readonly connection: SshConnection
  readonly take: TakeChannel
}

/** A channel that does not open in time, or that nobody waits for any more, goes with its connection. */
async function openWithin({ granted, connection, take }: OpeningChannel, ms: number): Promise<Shell> {
  const { request, signal } = granted
  const cut = (): void => void connection.guard.sock.destroy()
  const timer = setTimeout(cut, ms)
  signal.addEventListener('abort', cut)
  try {
    if (request.kind === 'file') return await openTransfer(connection, request, take)
    const firstSignal = request.kind === 'exec' ? 'TERM' : 'HUP'
    return await openChannel(connection.client, request, (channel) => take(createProgramChannel(connection, channel, firstSignal)))
  } catch (error) {
    cut()
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', cut)
  }
}

async function openTransfer(connection: SshConnection, request: Extract<SshRequest, { kind: 'file' }>, take: TakeChannel): Promise<Shell> {
  const { channel, fileBytes } = await openFile(connection.client, request)
  // A channel of ssh2 ends with its connection; this one has to be told.
  connection.client.once('close', () => channel.destroy())
  return take(createFileChannel(connection, channel, fileBytes))
}
