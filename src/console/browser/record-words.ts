import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import { client } from './account.ts'

const names = new Map<HostId, Promise<string>>()

/** A host's name; one that was forgotten has only its id. */
export function hostName(hostId: HostId): Promise<string> {
  const known =
    names.get(hostId) ??
    client.getHost({ params: { hostId } }).then(
      ({ name }) => name,
      () => hostId,
    )
  names.set(hostId, known)
  return known
}

/** Who a person is to the reader. */
export const personOf = (userId: UserId | null, ownId: UserId): string =>
  userId === null ? 'somebody erased' : userId === ownId ? 'you' : `…${userId.slice(-6)}`

/** A length of time, as clocks show it. */
export function lengthOf(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`
}

/** Fetches a file that its path allows once, and hands it to the browser to keep. */
export async function saveFile(path: string, name: string): Promise<void> {
  const response = await fetch(path)
  if (!response.ok) throw new Error('the file cannot be had')
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await response.blob())
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
