import { endedSessions } from '../identity/service.ts'
import { SessionsEnded } from '../platform/live-sockets.ts'
import type { Consumer } from '../platform/outbox/outbox.ts'

/** Closes the sockets of sessions that have ended, through the inbox of their user. */
export const closeSocketsOf: Consumer = async (scope, { payload }) => {
  const { userId, ids } = await endedSessions(scope, SessionsEnded.parse(payload))
  if (ids === 'all' || ids.length > 0) await scope.env.INBOXES.getByName(userId).endSessions(ids)
}
