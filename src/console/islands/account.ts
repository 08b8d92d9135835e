import { openAccount } from '../browser/account.ts'
import { startDevices, startTrusted } from '../browser/devices-panel.ts'
import { byId } from '../browser/dom.ts'
import { startFactors } from '../browser/factors-panel.ts'
import { startActivity, startData, startProfile } from '../browser/own-data.ts'
import { startPasskeys } from '../browser/passkeys-panel.ts'
import { tellTrouble } from '../browser/trouble.ts'

try {
  const me = await openAccount()
  startProfile(me)
  startData()
  const reloadActivity = startActivity()
  const reloadTrusted = startTrusted()
  const reloadDevices = startDevices(reloadTrusted)
  const reloadPlaces = async () => {
    await Promise.all([reloadTrusted(), reloadDevices()])
  }
  const reloadFactors = startFactors(reloadPlaces)
  const reloadPasskeys = startPasskeys(async () => {
    await Promise.all([reloadFactors(), reloadPlaces()])
  })
  await Promise.all([reloadFactors(), reloadPasskeys(), reloadPlaces(), reloadActivity()])
} catch (error) {
  tellTrouble(byId('page-alert'), error)
}
