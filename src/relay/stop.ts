import type { ClientChannel } from 'ssh2'
import type { SshConnection } from './ssh.ts'
import { sendSignal } from './ssh.ts'

/** Time for a program to end by itself after the first signal, and for the host to tell that it ended. */
const GRACE_MS = 2_000

interface Stopping {
  readonly connection: SshConnection
  readonly channel: ClientChannel
  /** An interactive shell ignores TERM and passes HUP on to its jobs; a command gets TERM. */
  readonly firstSignal: 'TERM' | 'HUP'
  /** Resolves when the host says that the program ended. */
  readonly exited: Promise<void>
}

/**
 * Ends a remote program: a signal, grace, KILL, grace, then the channel. Closing the channel or the connection alone would leave a command
 * without a terminal running on the host.
 *
 * @returns whether the host said that it ended
 */
export async function stopRemote({ connection, channel, firstSignal, exited }: Stopping): Promise<'confirmed' | 'unconfirmed'> {
  for (const name of [firstSignal, 'KILL'] as const) {
    sendSignal(connection.client, channel, name)
    if (await isSettled(exited, GRACE_MS)) return 'confirmed'
  }
  channel.close()
  return 'unconfirmed'
}

/** Whether `promise` resolves within the time. */
export async function isSettled(promise: Promise<void>, withinMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, withinMs, false)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
