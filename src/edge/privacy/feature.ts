import type { Feature } from '../http/feature.ts'
import { ERASE, eraseOver, erasureProbe, sweepOver } from './erasure.ts'
import { mountPrivacy } from './routes.ts'

/** Export and erasure over everything that the features given keep of a user. */
export const privacyOver = (features: readonly Feature[]): Feature => ({
  name: 'privacy',
  mount: (app) => mountPrivacy(app, features),
  consumers: { [ERASE]: eraseOver(features) },
  sweeps: { erasures: sweepOver(features) },
  probes: { erasures: erasureProbe },
})
