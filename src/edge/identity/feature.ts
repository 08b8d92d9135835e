import type { Feature } from '../http/feature.ts'
import { mountIdentity } from './routes.ts'
import { IDENTITY_SECRETS } from './secrets.ts'
import { eraseIdentity, exportIdentity } from './service.ts'
import { rotateSigningKeys } from './signing-keys.ts'
import { sweepIdentity } from './sweep.ts'

export const identity: Feature = {
  name: 'identity',
  mount: mountIdentity,
  personalData: { export: exportIdentity, erase: eraseIdentity },
  sweeps: { identity: sweepIdentity, 'signing-keys': rotateSigningKeys },
  underSecrets: IDENTITY_SECRETS,
}
