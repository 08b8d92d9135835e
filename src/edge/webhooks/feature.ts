import type { Feature } from '../http/feature.ts'
import { ORG_DELETED } from '../orgs/service.ts'
import { DELIVER_WEBHOOK, deliverWebhook, queueWaiting } from './delivery.ts'
import { eraseOrgWebhooks, eraseWebhooks, exportWebhooks, sweepWebhooks } from './keeping.ts'
import { mountWebhooks } from './routes.ts'
import { WEBHOOKS_WAIT } from './service.ts'
import { WEBHOOK_SECRETS } from './signature.ts'

export const webhooks: Feature = {
  name: 'webhooks',
  mount: mountWebhooks,
  personalData: { export: exportWebhooks, erase: eraseWebhooks },
  sweeps: { webhooks: sweepWebhooks },
  consumers: { [WEBHOOKS_WAIT]: queueWaiting, [DELIVER_WEBHOOK]: deliverWebhook, [ORG_DELETED]: eraseOrgWebhooks },
  underSecrets: WEBHOOK_SECRETS,
}
