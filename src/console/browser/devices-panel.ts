import type { TrustedDevice } from '../../contract/factors.ts'
import type { Session } from '../../contract/sessions.ts'
import { client } from './account.ts'
import { bindDangerButton } from './button.ts'
import { byId, filled, show, showMoment } from './dom.ts'
import { bindList, placesOf } from './list.ts'
import { askName } from './naming.ts'
import { said } from './words.ts'

type Described = Pick<TrustedDevice, 'browser' | 'system' | 'place'>

/** What a device is called where it has no name. */
export const deviceOf = ({ browser, system }: Described): string => [browser, system].filter(Boolean).join(', ') || said().unknownDevice
/** Where a device was last seen, coarsely. */
export const placeOf = ({ place }: Described): string => [place?.city, place?.country].filter(Boolean).join(', ')

/** Trusted devices. The answer reloads them. */
export function startTrusted(): () => Promise<void> {
  const places = placesOf('trusted')
  function row(device: TrustedDevice): HTMLElement {
    const piece = filled('trusted-row', { name: deviceOf(device), place: placeOf(device) })
    showMoment(piece.slot('used'), device.lastUsedAt)
    bindDangerButton(piece.slot<HTMLButtonElement>('revoke'), places.alert, async () => {
      await client.revokeTrustedDevice({ params: { trustedDeviceId: device.id } })
      await reload()
    })
    return piece.root
  }
  const reload = bindList(places, { load: () => client.listTrustedDevices(), row })
  return reload
}

/** Signed-in devices: name, sign out one, sign out all others. The answer reloads them. */
export function startDevices(changed: () => Promise<void>): () => Promise<void> {
  const places = placesOf('devices')
  const others = byId('revoke-others', HTMLButtonElement)

  function row(session: Session): HTMLElement {
    const params = { sessionId: session.id }
    const piece = filled('device-row', { name: session.name ?? deviceOf(session), place: placeOf(session) })
    show(piece.slot('current'), session.isCurrent)
    showMoment(piece.slot('seen'), session.lastSeenAt)
    const [rename, revoke] = [piece.slot<HTMLButtonElement>('rename'), piece.slot<HTMLButtonElement>('revoke')]
    rename.onclick = () =>
      askName(session.name ?? '', async (name) => {
        await client.renameSession({ params, body: { name } })
        await reload()
      })
    show(revoke, !session.isCurrent)
    bindDangerButton(revoke, places.alert, async () => {
      await client.revokeSession({ params })
      await reload()
      await changed()
    })
    return piece.root
  }

  async function load() {
    const { items } = await client.listSessions()
    show(others, items.length > 1)
    return { items }
  }

  const reload = bindList(places, { load, row })
  bindDangerButton(others, places.alert, async () => {
    await client.revokeOtherSessions()
    await reload()
    await changed()
  })
  return reload
}
