import type { Feature } from '../http/feature.ts'
import { SESSION_ENDED } from '../platform/live-sockets.ts'
import { closeSocketsOf } from './revocation.ts'

export const inbox: Feature = {
  name: 'inbox',
  mount: () => undefined,
  consumers: { [SESSION_ENDED]: closeSocketsOf },
}
