import type { ChannelRequest, Driver, Granted, HostChannel } from './driver.ts'
import { openFile } from './file-channel.ts'
import { connectRoute } from './route.ts'
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
  const opened = await openWithin({ granted, connection, take }, deps.connectSeconds * 1000)
  const { kex, cs } = connection.algorithms
  const { algorithms = 'modern', jumps = [] } = request
  const way = { jumps: jumps.length, algorithms, kex, cipher: cs.cipher }
  log.info('shell-opened', { user: username, hostKey: connection.hostKey.fingerprint, ...way })
  return opened
}

interface OpeningChannel<S> {
  readonly granted: Granted<SshRequest>
  readonly connection: SshConnection
  readonly take: (channel: HostChannel) => S
}

/** A channel that does not open in time, or that nobody waits for any more, goes with its connection. */
async function openWithin<S>({ granted, connection, take }: OpeningChannel<S>, ms: number): Promise<S> {
  const { request, signal } = granted
  const cut = (): void => void connection.guard.sock.destroy()
  const timer = setTimeout(cut, ms)
  signal.addEventListener('abort', cut)
  try {
    if (request.kind === 'file') return await openTransfer({ granted, connection, take }, request)
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

async function openTransfer<S>({ connection, take }: OpeningChannel<S>, request: Extract<SshRequest, { kind: 'file' }>): Promise<S> {
  const { channel, fileBytes } = await openFile(connection.client, request)
  // A channel of ssh2 ends with its connection; this one has to be told.
  connection.client.once('close', () => channel.destroy())
  return take(createFileChannel(connection, channel, fileBytes))
}
