import type { Feature } from '../http/feature.ts'
import { applySeat, eraseMemberships, MEMBERS_CHANGED } from './members.ts'
import { mountRooms } from './routes.ts'
import { exportRooms } from './service.ts'

export const rooms: Feature = {
  name: 'rooms',
  mount: mountRooms,
  personalData: { export: exportRooms, erase: eraseMemberships },
  consumers: { [MEMBERS_CHANGED]: applySeat },
}
