import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment } from './id.ts'
import { DeviceName, SessionId } from './identity.ts'

/** Most devices that one user can be signed in on at once; a deployment may set fewer. */
export const SESSIONS_PER_USER_MAX = 100
/** A session that was ended may act elsewhere in the world for this long on ordinary routes; where it was ended, not at all. */
export const REVOCATION_SECONDS_MAX = 30

/** Where a device was, no closer than its city. */
export const Place = z
  .object({
    country: z.string().meta({ description: 'ISO 3166-1 alpha-2, or T1 for Tor.', example: 'FR' }),
    city: z.string().nullable(),
  })
  .meta({ id: 'Place' })
/** Where a device was. */
export type Place = z.infer<typeof Place>

/** A signed-in device. */
export const Session = z
  .object({
    id: SessionId,
    name: z.string().nullable().meta({ description: 'The name the user or the app gave the device.' }),
    browser: z.string().nullable().meta({ description: 'From the user agent at sign-in.', example: 'Firefox' }),
    system: z.string().nullable().meta({ description: 'From the user agent at sign-in.', example: 'Android' }),
    place: Place.nullable().meta({ description: 'Where it was last seen; null when the network does not say.' }),
    createdAt: Moment,
    lastSeenAt: Moment.meta({ description: 'When it last signed in or refreshed: at most one access-token life ago while in use.' }),
    idleExpiresAt: Moment.meta({ description: 'When it ends unless it is refreshed before.' }),
    expiresAt: Moment.meta({ description: 'When it ends whatever happens.' }),
    isCurrent: z.boolean().meta({ description: 'Whether it is the one that asks.' }),
  })
  .meta({ id: 'Session' })
/** A signed-in device. */
export type Session = z.infer<typeof Session>

/** Every device the user is signed in on, the last seen first. */
export const SessionList = z.object({ items: z.array(Session).max(SESSIONS_PER_USER_MAX) }).meta({ id: 'SessionList' })
/** Every device the user is signed in on. */
export type SessionList = z.infer<typeof SessionList>

/** What `renameSession` takes; null takes the name away. */
export const RenameSession = z.strictObject({ name: DeviceName.nullable() }).meta({ id: 'RenameSession' })
/** What `renameSession` takes. */
export type RenameSession = z.output<typeof RenameSession>

/** What `revokeOtherSessions` answers. */
export const RevokedSessions = z.object({ ended: z.int().meta({ description: 'How many sessions this call ended.' }) }).meta({
  id: 'RevokedSessions',
})
/** What `revokeOtherSessions` answers. */
export type RevokedSessions = z.infer<typeof RevokedSessions>

const SessionParams = z.object({ sessionId: SessionId })
const BOUND = `It can no longer refresh from this moment on; an access token it holds works for ${REVOCATION_SECONDS_MAX} seconds at most.`

/** The operations on one's own signed-in devices. */
export const sessionEndpoints = {
  listSessions: endpoint({
    id: 'listSessions',
    method: 'GET',
    path: '/v1/auth/sessions',
    tag: 'identity',
    access: 'user',
    summary: 'The devices you are signed in on, the last seen first.',
    success: 200,
    response: SessionList,
    problems: [],
  }),
  renameSession: endpoint({
    id: 'renameSession',
    method: 'PATCH',
    path: '/v1/auth/sessions/:sessionId',
    tag: 'identity',
    access: 'user',
    summary: 'Give a device a name, or take it away.',
    params: SessionParams,
    body: RenameSession,
    success: 200,
    response: Session,
    problems: ['not-found'],
  }),
  revokeSession: endpoint({
    id: 'revokeSession',
    method: 'DELETE',
    path: '/v1/auth/sessions/:sessionId',
    tag: 'identity',
    access: 'user',
    summary: `Sign one of your devices out. ${BOUND} Ending an ended session succeeds.`,
    params: SessionParams,
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
  revokeOtherSessions: endpoint({
    id: 'revokeOtherSessions',
    method: 'DELETE',
    path: '/v1/auth/sessions',
    tag: 'identity',
    access: 'user',
    summary: `Sign all your devices out but this one. ${BOUND.replace('It can', 'They can').replace('it holds', 'they hold')}`,
    success: 200,
    response: RevokedSessions,
    problems: [],
  }),
}
