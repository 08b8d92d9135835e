import { Problem } from '../../contract/problem.ts'
import type { DocumentFormat, DocumentPatch, RoomDocument, RoomVersion, TextDiff } from '../../contract/room-document.ts'
import type { RoomId } from '../../contract/rooms.ts'
import { auditEntry } from '../audit/service.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { announceRoom } from './news.ts'
import { mayWrite } from './policy.ts'
import { seatIn } from './service.ts'

/** The object of a room the caller may read. @throws Problem `not-found` */
async function readable(scope: Scope, actor: Actor, roomId: RoomId) {
  await seatIn(scope, actor, roomId)
  return scope.env.ROOMS.getByName(roomId)
}

/** The object of a room the caller may write. @throws Problem `not-found`, `forbidden`, or `conflict` while it is archived */
async function writable(scope: Scope, actor: Actor, roomId: RoomId) {
  const { room, role } = await seatIn(scope, actor, roomId)
  if (!mayWrite(role)) throw new Problem('forbidden')
  if (room.archivedAt !== null) throw new Problem('conflict', { detail: 'The room is archived.' })
  return scope.env.ROOMS.getByName(roomId)
}

/** A version of a room. */
export interface VersionAt {
  readonly roomId: RoomId
  readonly versionId: string
}

/** The document as it is. @throws Problem `not-found` or `payload-too-large` */
export const getDocument = async (
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly format: DocumentFormat },
): Promise<RoomDocument> => open((await readable(scope, actor, at.roomId)).readDocument(at.format))

/** Changes the document. @throws Problem `not-found`, `forbidden`, `conflict`, `invalid-request` or `payload-too-large` */
export const changeDocument = async (
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly patch: DocumentPatch },
): Promise<RoomDocument> => open((await writable(scope, actor, at.roomId)).patchDocument(at.patch, traceparentOf(scope.trace)))

/** The kept versions, newest first. @throws Problem `not-found` */
export const listVersions = async (scope: Scope, actor: Actor, roomId: RoomId): Promise<{ items: RoomVersion[] }> => ({
  items: [...(await (await readable(scope, actor, roomId)).listVersions())],
})

/** Keeps the document under a name. @throws Problem `not-found`, `forbidden`, `conflict` or `limit-reached` */
export async function createVersion(
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly name: string },
): Promise<RoomVersion> {
  const version = await open((await writable(scope, actor, at.roomId)).keepVersion(at.name))
  const news = await announceRoom(scope, { kind: 'room.version.named', roomId: at.roomId, data: { versionId: version.id } })
  await commit(scope, [auditEntry(scope, { action: 'room.version-keep', subject: at.roomId, cause: version.id }), ...news.statements])
  scope.deliver([news.id])
  return version
}

/** The document as it was. @throws Problem `not-found` or `payload-too-large` */
export const getVersion = async (scope: Scope, actor: Actor, at: VersionAt & { readonly format: DocumentFormat }): Promise<RoomDocument> =>
  open((await readable(scope, actor, at.roomId)).readVersion(at.versionId, at.format))

/** What changed in the text since. @throws Problem `not-found` or `payload-too-large` */
export const getDiff = async (scope: Scope, actor: Actor, at: VersionAt): Promise<TextDiff> =>
  open((await readable(scope, actor, at.roomId)).diffVersion(at.versionId))

/** Makes the document what it was. @throws Problem `not-found`, `forbidden`, `conflict` or `payload-too-large` */
export async function restore(scope: Scope, actor: Actor, at: VersionAt): Promise<RoomDocument> {
  const document = await open<RoomDocument>(
    (await writable(scope, actor, at.roomId)).restoreVersion(at.versionId, traceparentOf(scope.trace)),
  )
  await commit(scope, [auditEntry(scope, { action: 'room.version-restore', subject: at.roomId, cause: at.versionId })])
  return document
}
