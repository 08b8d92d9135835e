import type { ControlBody } from '../contract/krp.ts'

/** Time for a program to end by itself after the first signal, and for the host to tell that it ended. */
const GRACE_MS = 2_000

type SignalName = ControlBody<'SIGNAL'>['signal']

interface Stopping {
  readonly signal: (name: SignalName) => void
  readonly firstSignal: SignalName
  /** Resolves when the program and all that holds its output ended: true when the host said so, false when the connection was lost. */
  readonly ended: Promise<boolean>
}

/**
 * Ends a remote program: a signal, grace, KILL, grace. Closing the channel or the connection alone would leave a command without a terminal
 * running on the host. OpenSSH delivers no signals to forced commands and to programs of root: then the end stays unconfirmed.
 *
 * @returns whether the host said that it ended
 */
export async function stopRemote({ signal, firstSignal, ended }: Stopping): Promise<'confirmed' | 'unconfirmed'> {
  for (const name of [firstSignal, 'KILL'] as const) {
    signal(name)
    const isConfirmed = await within(ended, GRACE_MS)
    if (isConfirmed !== undefined) return isConfirmed ? 'confirmed' : 'unconfirmed'
  }
  return 'unconfirmed'
}

/** What `promise` resolves to, or undefined when that takes longer. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
