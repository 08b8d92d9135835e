import { auditEntry } from '../audit/service.ts'
import type { Env } from '../env.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { prefixOf } from './recording-chunk.ts'
import { deleteRecording, expiredRecordings } from './recording-store.ts'

const RECORDINGS_PER_SWEEP = 20

/** Deletes every object under a prefix; what is not there any more is fine. */
export async function deleteObjects({ RECORDINGS }: Pick<Env, 'RECORDINGS'>, prefix: string): Promise<void> {
  for (;;) {
    const { objects, truncated } = await RECORDINGS.list({ prefix })
    if (objects.length > 0) await RECORDINGS.delete(objects.map(({ key }) => key))
    if (!truncated) return
  }
}

/** Deletes what is older than its organisation keeps: first the objects, so that nothing is left that no row knows of. */
export async function sweepRecordings(scope: Scope): Promise<number> {
  const expired = await expiredRecordings(scope.db, scope.now(), RECORDINGS_PER_SWEEP)
  for (const { id, orgId } of expired) {
    try {
      await deleteObjects(scope.env, prefixOf(orgId, id))
      await scope.db.batch([auditEntry(scope, { action: 'recording.expire', subject: id, orgId }), ...deleteRecording(scope.db, id)])
      // A keyframe that was made meanwhile.
      await deleteObjects(scope.env, prefixOf(orgId, id))
    } catch (error) {
      scope.log('sweep.failed', { name: 'recordings', shellId: id, ...describeError(error) })
    }
  }
  return expired.length
}
