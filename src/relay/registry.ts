import { KrpError } from '../contract/krp-frame.ts'
import { Refusal } from './refusal.ts'
import type { Shell, ShellKey } from './shell.ts'

/** A live link, as the registry sees it. */
export interface FencedLink {
  /** A link of a later epoch took over. */
  fence(): void
}

/** Who dials, and with which epoch. */
export interface Dialer {
  readonly tenant: string
  readonly sub: string
  readonly epoch: number
}

/** A place for a shell that is being opened. */
export interface Reservation {
  fill(shell: Shell): void
  release(): void
}

/** Which dialer has which link and which shells: the relay's whole memory. */
export interface Registry {
  /** One link per dialer, of the highest epoch; an earlier one is fenced. @throws KrpError epoch-stale */
  claim(dialer: Dialer, link: FencedLink): void
  release(dialer: Dialer, link: FencedLink): void
  /** @throws Refusal shell-exists, too-many-shells */
  reserve(key: ShellKey): Reservation
  /** @throws Refusal shell-unknown */
  find(key: ShellKey): Shell
  shells(): readonly Shell[]
  shellCount(): number
}

interface Entry {
  epoch: number
  link: FencedLink | undefined
  readonly shells: Map<string, Shell | undefined>
}

/** An empty registry. */
export function createRegistry(limits: { readonly shellsMax: number; readonly shellsPerTenantMax: number }): Registry {
  const entries = new Map<string, Entry>()
  const tenantCounts = new Map<string, number>()
  let shellCount = 0

  const count = (tenant: string, change: 1 | -1): void => {
    shellCount += change
    const left = (tenantCounts.get(tenant) ?? 0) + change
    if (left === 0) tenantCounts.delete(tenant)
    else tenantCounts.set(tenant, left)
  }
  const forget = (key: ShellKey): void => {
    const entry = entries.get(nameOf(key))
    if (entry?.shells.delete(key.shell) === true) count(key.tenant, -1)
    forgetIdle(entries, nameOf(key))
  }
  return {
    claim(dialer, link) {
      const name = nameOf(dialer)
      const entry = entries.get(name) ?? { epoch: 0, link: undefined, shells: new Map() }
      if (dialer.epoch <= entry.epoch) throw new KrpError('epoch-stale')
      const older = entry.link
      entries.set(name, entry)
      entry.epoch = dialer.epoch
      entry.link = link
      older?.fence()
    },
    release(dialer, link) {
      const entry = entries.get(nameOf(dialer))
      if (entry?.link !== link) return
      entry.link = undefined
      forgetIdle(entries, nameOf(dialer))
    },
    reserve(key) {
      const entry = entries.get(nameOf(key))
      if (entry === undefined) throw new Refusal('internal')
      if (entry.shells.has(key.shell)) throw new Refusal('shell-exists')
      if (shellCount >= limits.shellsMax || (tenantCounts.get(key.tenant) ?? 0) >= limits.shellsPerTenantMax)
        throw new Refusal('too-many-shells')
      entry.shells.set(key.shell, undefined)
      count(key.tenant, 1)
      return { fill: (shell) => void entry.shells.set(key.shell, shell), release: () => forget(key) }
    },
    find(key) {
      const shell = entries.get(nameOf(key))?.shells.get(key.shell)
      if (shell === undefined) throw new Refusal('shell-unknown')
      return shell
    },
    shells: () => [...entries.values()].flatMap((entry) => [...entry.shells.values()]).filter((shell) => shell !== undefined),
    shellCount: () => shellCount,
  }
}

// Identifiers hold no NUL, so two dialers never share a name.
const nameOf = ({ tenant, sub }: { readonly tenant: string; readonly sub: string }): string => `${tenant}\0${sub}`

function forgetIdle(entries: Map<string, Entry>, name: string): void {
  const entry = entries.get(name)
  if (entry !== undefined && entry.link === undefined && entry.shells.size === 0) entries.delete(name)
}
