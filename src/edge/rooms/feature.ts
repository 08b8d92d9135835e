import type { Feature } from '../http/feature.ts'
import { MEMBER_CHANGED, ORG_DELETED } from '../orgs/service.ts'
import { AUTHOR_ERASED, eraseAuthor } from './correspondence.ts'
import { applyRoom, emptyRoom, ROOM_CHANGED, ROOM_DELETED } from './keeping.ts'
import { applySeat, MEMBERS_CHANGED } from './members.ts'
import { applyOrgEnd, applyOrgMember, applyOrgSeats, ORG_SEATS } from './org-seats.ts'
import { eraseMemberships, exportMemberships } from './personal-data.ts'
import { mountRooms } from './routes.ts'
import { roomMetrics, sweepRoomDays } from './usage.ts'

export const rooms: Feature = {
  name: 'rooms',
  mount: mountRooms,
  personalData: { export: exportMemberships, erase: eraseMemberships },
  sweeps: { 'room-days': sweepRoomDays },
  consumers: {
    [MEMBERS_CHANGED]: applySeat,
    [MEMBER_CHANGED]: applyOrgMember,
    [ORG_DELETED]: applyOrgEnd,
    [ORG_SEATS]: applyOrgSeats,
    [ROOM_CHANGED]: applyRoom,
    [ROOM_DELETED]: emptyRoom,
    [AUTHOR_ERASED]: eraseAuthor,
  },
  metrics: roomMetrics,
}
