import type { Feature } from '../http/feature.ts'
import { EVERYTHING_ENDED, SESSION_ENDED } from '../platform/live-sockets.ts'
import { NOTIFY } from '../platform/notify.ts'
import { deliverNotification } from './notifying.ts'
import { closeSocketsOf, closeSocketsOfAll } from './revocation.ts'
import { mountInbox } from './routes.ts'
import { eraseInbox, exportInbox } from './service.ts'
import { inboxMetrics, sweepPushDays } from './usage.ts'
import { PUSH_KEY } from './vapid.ts'

export const inbox: Feature = {
  name: 'inbox',
  mount: mountInbox,
  personalData: { export: exportInbox, erase: eraseInbox },
  consumers: { [SESSION_ENDED]: closeSocketsOf, [EVERYTHING_ENDED]: closeSocketsOfAll, [NOTIFY]: deliverNotification },
  sweeps: { 'push-days': sweepPushDays },
  metrics: inboxMetrics,
  underSecrets: [PUSH_KEY],
}
