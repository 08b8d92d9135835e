import { endedSessions, endUsersAfter } from '../identity/service.ts'
import { EVERYTHING_ENDED, EverythingEnded, SESSION_ENDED, SessionsEnded } from '../platform/live-sockets.ts'
import { type Consumer, commit, outboxEvent } from '../platform/outbox/outbox.ts'

/** Closes the sockets of sessions that have ended, through the inbox of their user. */
export const closeSocketsOf: Consumer = async (scope, { payload }) => {
  const { userId, ids } = await endedSessions(scope, SessionsEnded.parse(payload))
  if (ids === 'all' || ids.length > 0) await scope.env.INBOXES.getByName(userId).endSessions(ids)
}

/** As {@link closeSocketsOf}, of everybody, some users at a time. An inbox that fails holds nobody else up: it gets an event of its own. */
export const closeSocketsOfAll: Consumer = async (scope, { payload }) => {
  const { at, after } = EverythingEnded.parse(payload)
  const { users, next } = await endUsersAfter(scope, { at, after })
  const told = await Promise.allSettled(users.map(({ userId, ids }) => scope.env.INBOXES.getByName(userId).endSessions(ids)))
  const untold = users.filter((_, n) => told[n]?.status === 'rejected')
  const events = untold.map(({ userId, ids }) => outboxEvent(scope, SESSION_ENDED, { userId, ids }))
  if (next !== undefined) events.push(outboxEvent(scope, EVERYTHING_ENDED, { at, after: next }))
  await commit(scope, [], await Promise.all(events))
}
