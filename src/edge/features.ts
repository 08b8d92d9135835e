import { audit } from './audit/feature.ts'
import type { Feature } from './http/feature.ts'
import { identity } from './identity/feature.ts'
import { inbox } from './inbox/feature.ts'
import { opsOver } from './ops/feature.ts'
import { orgs } from './orgs/feature.ts'
import { privacyOver } from './privacy/feature.ts'
import { rooms } from './rooms/feature.ts'
import { shell } from './shell/feature.ts'
import { webhooks } from './webhooks/feature.ts'

/** Mounting order and import order: a feature may import only features above it. */
const OF_USERS: readonly Feature[] = [audit, identity, orgs, webhooks, rooms, inbox, shell]

const BELOW_OPS: readonly Feature[] = [...OF_USERS, privacyOver(OF_USERS)]

/** Every feature, in order. */
export const FEATURES: readonly Feature[] = [...BELOW_OPS, opsOver(BELOW_OPS)]
