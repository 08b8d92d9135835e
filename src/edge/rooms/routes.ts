import { roomDocumentEndpoints as documents } from '../../contract/room-document.ts'
import { roomInviteEndpoints as invites } from '../../contract/room-invites.ts'
import { roomMessageEndpoints as messages } from '../../contract/room-messages.ts'
import { roomEndpoints as api, roomSockets } from '../../contract/rooms.ts'
import { type EdgeApp, implement, implementSocket } from '../http/implement.ts'
import { getRetention, listMessages, publishMessage, setRetention } from './correspondence.ts'
import { changeDocument, createVersion, getDiff, getDocument, getVersion, listVersions, restore } from './documents.ts'
import { acceptInvite, createInvite, listInvites, revokeInvite } from './invites.ts'
import { joinLate, joinLive, joinRoom } from './join.ts'
import { deleteRoom, updateRoom } from './keeping.ts'
import { listMembers, putMember, removeMember } from './members.ts'
import { createRoom, createRoomTicket, getRoom, getStats, listRooms } from './service.ts'

/** Mounts the room operations. */
export function mountRooms(app: EdgeApp): void {
  implement(app, api.createRoom, ({ scope, actor, body }) => createRoom(scope, actor, body))
  implement(app, api.listRooms, ({ scope, actor, query }) => listRooms(scope, actor, query))
  implement(app, api.getRoom, ({ scope, actor, params }) => getRoom(scope, actor, params.roomId))
  implement(app, api.getRoomStats, ({ scope, actor, params }) => getStats(scope, actor, params.roomId))
  implement(app, api.updateRoom, ({ scope, actor, params, body }) => updateRoom(scope, actor, { ...params, change: body }))
  implement(app, api.deleteRoom, ({ scope, actor, params }) => deleteRoom(scope, actor, params.roomId).then(() => undefined))
  implement(app, api.listRoomMembers, ({ scope, actor, params, query }) => listMembers(scope, actor, { roomId: params.roomId, query }))
  implement(app, api.putRoomMember, ({ scope, actor, params, body }) => putMember(scope, actor, { ...params, role: body.role }))
  implement(app, api.removeRoomMember, ({ scope, actor, params }) => removeMember(scope, actor, params).then(() => undefined))
  implement(app, api.createRoomTicket, ({ scope, actor, params }) => createRoomTicket(scope, actor, params.roomId))
  implementSocket(app, roomSockets.joinRoomY, (upgrade) => joinRoom(upgrade, { ...upgrade.params, framing: 'y' }))
  implementSocket(app, roomSockets.joinRoomLive, (upgrade) => joinLive(upgrade, upgrade.params.roomId))
  implementSocket(app, roomSockets.joinRoomHocuspocus, (upgrade) => joinLate(upgrade, upgrade.params.roomId))
  mountMessages(app)
  mountInvites(app)
  mountDocument(app)
}

function mountMessages(app: EdgeApp): void {
  implement(app, messages.listRoomMessages, ({ scope, actor, params, query }) => listMessages(scope, actor, { ...params, query }))
  implement(app, messages.publishRoomMessage, ({ scope, actor, params, body }) =>
    publishMessage(scope, actor, { ...params, publication: body }),
  )
  implement(app, messages.getMessageRetention, ({ scope, actor, params }) => getRetention(scope, actor, params.roomId))
  implement(app, messages.setMessageRetention, ({ scope, actor, params, body }) => setRetention(scope, actor, { ...params, ...body }))
}

function mountInvites(app: EdgeApp): void {
  implement(app, invites.createRoomInvite, ({ scope, actor, params, body }) => createInvite(scope, actor, { ...params, wanted: body }))
  implement(app, invites.listRoomInvites, ({ scope, actor, params, query }) => listInvites(scope, actor, { ...params, query }))
  implement(app, invites.revokeRoomInvite, ({ scope, actor, params }) => revokeInvite(scope, actor, params).then(() => undefined))
  implement(app, invites.acceptRoomInvite, ({ scope, actor, body }) => acceptInvite(scope, actor, body.token))
}

function mountDocument(app: EdgeApp): void {
  implement(app, documents.getRoomDocument, ({ scope, actor, params, query }) => getDocument(scope, actor, { ...params, ...query }))
  implement(app, documents.patchRoomDocument, ({ scope, actor, params, body }) => changeDocument(scope, actor, { ...params, patch: body }))
  implement(app, documents.listRoomVersions, ({ scope, actor, params }) => listVersions(scope, actor, params.roomId))
  implement(app, documents.createRoomVersion, ({ scope, actor, params, body }) => createVersion(scope, actor, { ...params, ...body }))
  implement(app, documents.getRoomVersion, ({ scope, actor, params, query }) => getVersion(scope, actor, { ...params, ...query }))
  implement(app, documents.diffRoomVersion, ({ scope, actor, params }) => getDiff(scope, actor, params))
  implement(app, documents.restoreRoomVersion, ({ scope, actor, params }) => restore(scope, actor, params))
}
