import { ROOM_DOCUMENT_BYTES_MAX } from '../../contract/rooms.ts'
import { logFor } from '../platform/log.ts'
import type { LiveRoom } from './live.ts'
import { sendText } from './outlet.ts'
import type { Peer } from './peer.ts'
import { sizeWarning } from './policy.ts'
import { broadcast } from './talk.ts'

const bytesOf = ({ document: { size } }: LiveRoom): number => size.baseBytes + size.logBytes

/** Warns a client that begins to follow a document which is large already. */
export function warnNewcomer(room: LiveRoom, socket: Peer): void {
  if (sizeWarning(room.document.size) > 0) sendText(socket, { type: 'size', bytes: bytesOf(room), bytesMax: ROOM_DOCUMENT_BYTES_MAX })
}

/** Warns all who follow the document when it has passed a further share of its largest size. */
export function warnOfSize(room: LiveRoom): void {
  const share = sizeWarning(room.document.size)
  if (share === room.sizeTold) return
  const hasGrown = share > room.sizeTold
  room.sizeTold = share
  if (!hasGrown) return
  logFor(undefined, { roomId: room.roomId })('room.document-large', { bytes: bytesOf(room) })
  broadcast({ room }, 'document', { frame: { type: 'size', bytes: bytesOf(room), bytesMax: ROOM_DOCUMENT_BYTES_MAX } })
}
