import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf, Moment } from './id.ts'
import { ROOM_DOCUMENT_BYTES_MAX, RoomId } from './rooms.ts'

/** Largest document that REST reads or compares, in bytes as encoded; larger ones sync over a WebSocket. */
export const DOCUMENT_READ_BYTES_MAX = 8 * 1_048_576
/** Largest body of `patchRoomDocument`, in bytes. */
export const DOCUMENT_PATCH_BYTES_MAX = 1_400_000
/** Operations of one patch. */
export const DOCUMENT_OPERATIONS_MAX = 100
/** Named versions of one room. */
export const NAMED_VERSIONS_MAX = 100

const Base64 = z.string().meta({ description: 'Bytes in unpadded base64url (RFC 4648 §5).' })
const Name = z.string().min(1).max(200).meta({ description: 'The shared type, as in `doc.getText(name)`.' })
const Index = z.int().min(0)

/** How a document is told: its shared types as JSON (XML as its text), its plain text, or a Yjs update that holds all of it. */
export const DocumentFormat = z.enum(['json', 'text', 'update']).meta({ id: 'DocumentFormat' })
/** How a document is told. */
export type DocumentFormat = z.infer<typeof DocumentFormat>

/** A document as it is stored now, or was. */
export const RoomDocument = z
  .object({
    bytes: z.int().meta({ description: 'Its size as encoded.' }),
    bytesMax: z.literal(ROOM_DOCUMENT_BYTES_MAX),
    stateVector: Base64,
    json: z.record(z.string(), z.unknown()).optional(),
    text: z.string().optional(),
    update: Base64.optional(),
  })
  .meta({ id: 'RoomDocument' })
/** A document as it is stored now, or was. */
export type RoomDocument = z.infer<typeof RoomDocument>

/** One change of a document. Positions count in the document as it is when the operation is applied. */
export const DocumentOperation = z
  .discriminatedUnion('op', [
    z.strictObject({ op: z.literal('text.insert'), name: Name, index: Index, text: z.string().min(1) }),
    z.strictObject({ op: z.literal('text.delete'), name: Name, index: Index, length: z.int().min(1) }),
    z.strictObject({ op: z.literal('text.set'), name: Name, text: z.string() }),
    z.strictObject({ op: z.literal('map.set'), name: Name, key: z.string().min(1).max(200), value: z.json() }),
    z.strictObject({ op: z.literal('map.delete'), name: Name, key: z.string().min(1).max(200) }),
    z.strictObject({ op: z.literal('array.insert'), name: Name, index: Index, values: z.array(z.json()).min(1) }),
    z.strictObject({ op: z.literal('array.delete'), name: Name, index: Index, length: z.int().min(1) }),
  ])
  .meta({ id: 'DocumentOperation' })
/** One change of a document. */
export type DocumentOperation = z.output<typeof DocumentOperation>

/** What `patchRoomDocument` takes: operations, all of them or none, or a Yjs update. */
export const DocumentPatch = z
  .strictObject({
    operations: z.array(DocumentOperation).min(1).max(DOCUMENT_OPERATIONS_MAX).optional(),
    update: Base64.optional(),
    stateVector: Base64.optional().meta({
      description: 'Answers `conflict` if anything was added to the document since it was read with this.',
    }),
  })
  .refine(({ operations, update }) => (operations === undefined) !== (update === undefined), 'needs either operations or an update')
  .meta({ id: 'DocumentPatch' })
/** What `patchRoomDocument` takes. */
export type DocumentPatch = z.output<typeof DocumentPatch>

/** A number of a version. */
export const VersionId = z
  .string()
  .regex(/^[1-9]\d{0,11}$/)
  .meta({ id: 'VersionId' })

/** A state of the document that is kept. */
export const RoomVersion = z
  .object({
    id: VersionId,
    kind: z.enum(['automatic', 'named', 'restored']).meta({ description: '`restored`: as it was right before a restore.' }),
    name: z.string().nullable(),
    bytes: z.int(),
    createdAt: Moment,
  })
  .meta({ id: 'RoomVersion' })
/** A state of the document that is kept. */
export type RoomVersion = z.infer<typeof RoomVersion>

/** What changed in the plain text from a version to now. */
export const TextDiff = z
  .object({
    changes: z.array(
      z.object({ index: z.int().meta({ description: 'In the text of the version.' }), remove: z.string(), insert: z.string() }),
    ),
  })
  .meta({ id: 'TextDiff' })
/** What changed in the plain text. */
export type TextDiff = z.infer<typeof TextDiff>

const RoomPath = z.strictObject({ roomId: RoomId })
const VersionPath = z.strictObject({ roomId: RoomId, versionId: VersionId })
const FormatQuery = z.strictObject({ format: DocumentFormat.default('json') })

/** The operations on a room's document, for servers and agents; editors sync over a WebSocket. */
export const roomDocumentEndpoints = {
  getRoomDocument: endpoint({
    id: 'getRoomDocument',
    method: 'GET',
    path: '/v1/rooms/:roomId/document',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'Read the shared document.',
    params: RoomPath,
    query: FormatQuery,
    success: 200,
    response: RoomDocument,
    problems: ['not-found', 'payload-too-large'],
  }),
  patchRoomDocument: endpoint({
    id: 'patchRoomDocument',
    method: 'PATCH',
    path: '/v1/rooms/:roomId/document',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'Change the shared document; open editors see it at once. Owners and editors, unless the room is archived.',
    params: RoomPath,
    body: DocumentPatch,
    bodyBytesMax: DOCUMENT_PATCH_BYTES_MAX,
    success: 200,
    response: RoomDocument,
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
  listRoomVersions: endpoint({
    id: 'listRoomVersions',
    method: 'GET',
    path: '/v1/rooms/:roomId/versions',
    tag: 'rooms',
    access: 'user',
    summary: 'The kept versions of the document, newest first.',
    params: RoomPath,
    success: 200,
    response: z.object({ items: z.array(RoomVersion) }).meta({ id: 'RoomVersionList' }),
    problems: ['not-found'],
  }),
  createRoomVersion: endpoint({
    id: 'createRoomVersion',
    method: 'POST',
    path: '/v1/rooms/:roomId/versions',
    tag: 'rooms',
    access: 'user',
    summary: 'Keep the document as it is now under a name. Owners and editors.',
    params: RoomPath,
    body: z.strictObject({ name: lineOf(80) }),
    success: 201,
    response: RoomVersion,
    problems: ['not-found', 'forbidden', 'conflict', 'limit-reached'],
  }),
  getRoomVersion: endpoint({
    id: 'getRoomVersion',
    method: 'GET',
    path: '/v1/rooms/:roomId/versions/:versionId',
    tag: 'rooms',
    access: 'user',
    summary: 'Read the document as it was.',
    params: VersionPath,
    query: FormatQuery,
    success: 200,
    response: RoomDocument,
    problems: ['not-found', 'payload-too-large'],
  }),
  diffRoomVersion: endpoint({
    id: 'diffRoomVersion',
    method: 'GET',
    path: '/v1/rooms/:roomId/versions/:versionId/diff',
    tag: 'rooms',
    access: 'user',
    summary: 'What changed in the plain text since that version.',
    params: VersionPath,
    success: 200,
    response: TextDiff,
    problems: ['not-found', 'payload-too-large'],
  }),
  restoreRoomVersion: endpoint({
    id: 'restoreRoomVersion',
    method: 'POST',
    path: '/v1/rooms/:roomId/versions/:versionId/restore',
    tag: 'rooms',
    access: 'user',
    summary: 'Make the document what it was, as a new change: nothing is rewritten, and the state before it is kept. Owners and editors.',
    params: VersionPath,
    success: 200,
    response: RoomDocument,
    problems: ['not-found', 'forbidden', 'conflict', 'payload-too-large'],
  }),
}
