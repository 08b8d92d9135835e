import * as z from 'zod'

/** Roles on the platform, many to many; what they allow is in {@link PERMISSIONS} alone. */
export const PlatformRole = z.enum(['admin', 'moderator']).meta({ id: 'PlatformRole' })
/** A role on the platform. */
export type PlatformRole = z.infer<typeof PlatformRole>

/** What each permission takes: any one of these roles, read from storage for the very call that needs it. */
export const PERMISSIONS = {
  'users.read': ['admin', 'moderator'],
  'users.manage': ['admin'],
  'roles.assign': ['admin'],
  'audit.read': ['admin'],
} as const satisfies Readonly<Record<string, readonly PlatformRole[]>>

/** What an operation can demand beyond being signed in. */
export type Permission = keyof typeof PERMISSIONS

/** Whether somebody with these roles may do what takes a permission. */
export const isAllowed = (permission: Permission, roles: readonly PlatformRole[]): boolean =>
  roles.some((role) => (PERMISSIONS[permission] as readonly PlatformRole[]).includes(role))

/** What an API key may be allowed, apart from what its user may: reading or changing, by the part of the product. */
export const ApiScope = z
  .enum(['account:read', 'orgs:read', 'orgs:write', 'rooms:read', 'rooms:write', 'shells:read', 'shells:write'])
  .meta({ id: 'ApiScope' })
/** What an API key may be allowed. */
export type ApiScope = z.infer<typeof ApiScope>
