import { closeConnection, type SshConnection } from './ssh.ts'

/** How long connections wait for their next command, and how many of them. */
export interface KeptLimits {
  /** 0 keeps none. */
  readonly keptSeconds: number
  readonly keptMax: number
  readonly keptPerTenantMax: number
}

/** What a connection is asked for by: the person, the way, and the secrets that open it, in a digest (`kept-name.ts`). */
export interface KeptName {
  readonly tenant: string
  readonly digest: string
}

/** A connection that may serve again. */
export interface Kept extends KeptName {
  readonly connection: SshConnection
  /** On the clock of `performance`, from when on it may not, because what let it in has ended. */
  readonly endsAt: number
}

/** Connections that are logged in and at rest. Each serves one at a time: it is taken out, and comes back. */
export interface KeptConnections {
  /** The one that served last under this name, if it lives; from now on it is the caller's alone. */
  take(name: KeptName): Kept | undefined
  /** Lets it wait for the next who asks by its name, or says goodbye to it. */
  keep(kept: Kept): void
  count(): number
  /** Says goodbye to all, and keeps none from now on. */
  close(): void
}

interface Waiting {
  readonly kept: Kept
  /** It waits no more. */
  leave(): void
}

/** None yet. */
export function keepConnections({ keptSeconds, keptMax, keptPerTenantMax }: KeptLimits): KeptConnections {
  // Oldest first.
  const waiting = new Set<Waiting>()
  let isClosed = false

  const oldest = (tenant?: string): Waiting | undefined => [...waiting].find(({ kept }) => tenant === undefined || kept.tenant === tenant)
  const countOf = (tenant: string): number => [...waiting].filter(({ kept }) => kept.tenant === tenant).length
  const drop = (one: Waiting | undefined): void => {
    one?.leave()
    if (one) closeConnection(one.kept.connection)
  }
  const wait = (kept: Kept, ms: number): void => {
    const { client } = kept.connection
    const ended = (): void => drop(one)
    const timer = setTimeout(ended, ms)
    timer.unref()
    const one: Waiting = {
      kept,
      leave() {
        clearTimeout(timer)
        client.off('end', ended).off('close', ended)
        waiting.delete(one)
      },
    }
    client.once('end', ended).once('close', ended)
    waiting.add(one)
  }
  return {
    take({ tenant, digest }) {
      const found = [...waiting].findLast(({ kept }) => kept.tenant === tenant && kept.digest === digest)
      found?.leave()
      if (found === undefined || found.kept.endsAt > performance.now()) return found?.kept
      closeConnection(found.kept.connection)
      return undefined
    },
    keep(kept) {
      const ms = Math.min(keptSeconds * 1000, kept.endsAt - performance.now())
      if (isClosed || ms <= 0 || !kept.connection.isAlive()) return closeConnection(kept.connection)
      wait(kept, ms)
      if (countOf(kept.tenant) > keptPerTenantMax) drop(oldest(kept.tenant))
      if (waiting.size > keptMax) drop(oldest())
    },
    count: () => waiting.size,
    close() {
      isClosed = true
      for (const one of [...waiting]) drop(one)
    },
  }
}
