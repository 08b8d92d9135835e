import { accountEndpoints } from './account.ts'
import { adminEndpoints } from './admin.ts'
import { adminAuditEndpoints } from './admin-audit.ts'
import { apiKeyEndpoints } from './api-keys.ts'
import { auditEndpoints } from './audit.ts'
import { commandEndpoints } from './commands.ts'
import { emailEndpoints } from './email.ts'
import { factorEndpoints } from './factors.ts'
import { fileEndpoints } from './files.ts'
import { healthEndpoints } from './health.ts'
import { hookEndpoints } from './hooks.ts'
import { hostEndpoints } from './hosts.ts'
import { identityEndpoints } from './identity.ts'
import { inboxEndpoints, inboxSockets } from './inbox.ts'
import { invitationEndpoints } from './invitations.ts'
import { keyEndpoints } from './keys.ts'
import { magicEndpoints } from './magic.ts'
import { orgEndpoints } from './orgs.ts'
import { oversightEndpoints } from './oversight.ts'
import { passkeyEndpoints } from './passkeys.ts'
import { passwordEndpoints } from './passwords.ts'
import { recordingEndpoints } from './recordings.ts'
import { roomDocumentEndpoints } from './room-document.ts'
import { roomInviteEndpoints } from './room-invites.ts'
import { roomMessageEndpoints } from './room-messages.ts'
import { roomEndpoints, roomSockets } from './rooms.ts'
import { runEndpoints } from './runs.ts'
import { sessionEndpoints } from './sessions.ts'
import { shellEndpoints, shellSockets } from './shell.ts'
import { shellPolicyEndpoints } from './shell-policy.ts'
import { shellUsageEndpoints } from './shell-usage.ts'
import { sshCaEndpoints } from './ssh-ca.ts'
import { webhookEndpoints } from './webhooks.ts'

/** Every HTTP operation of the product. The only place that lists them all. */
export const endpoints = {
  ...identityEndpoints,
  ...keyEndpoints,
  ...accountEndpoints,
  ...sessionEndpoints,
  ...passwordEndpoints,
  ...magicEndpoints,
  ...emailEndpoints,
  ...factorEndpoints,
  ...passkeyEndpoints,
  ...apiKeyEndpoints,
  ...adminEndpoints,
  ...adminAuditEndpoints,
  ...orgEndpoints,
  ...invitationEndpoints,
  ...auditEndpoints,
  ...webhookEndpoints,
  ...roomEndpoints,
  ...roomMessageEndpoints,
  ...roomInviteEndpoints,
  ...hostEndpoints,
  ...sshCaEndpoints,
  ...inboxEndpoints,
  ...roomDocumentEndpoints,
  ...shellEndpoints,
  ...recordingEndpoints,
  ...commandEndpoints,
  ...oversightEndpoints,
  ...runEndpoints,
  ...shellPolicyEndpoints,
  ...hookEndpoints,
  ...shellUsageEndpoints,
  ...fileEndpoints,
  ...healthEndpoints,
}

/** Every WebSocket door of the product. */
export const sockets = { ...roomSockets, ...inboxSockets, ...shellSockets }
