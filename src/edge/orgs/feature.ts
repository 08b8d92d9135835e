import type { Feature } from '../http/feature.ts'
import { sweepInvitations } from './invitations.ts'
import { eraseMemberships } from './members.ts'
import { mountOrgs } from './routes.ts'
import { exportOrgs } from './service.ts'

export const orgs: Feature = {
  name: 'orgs',
  mount: mountOrgs,
  personalData: { export: exportOrgs, erase: eraseMemberships },
  sweeps: { invitations: sweepInvitations },
}
