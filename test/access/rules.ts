import type { ProblemSlug } from '../../src/contract/problem.ts'
import type { endpoints } from '../../src/contract/registry.ts'

/** What somebody is answered: a problem, or nothing to object to. */
export type Verdict = ProblemSlug | 'served'

/** Who may do what an operation does to Ada's things. */
export interface Rule {
  /** What a caller who may do it would send. */
  readonly body?: unknown
  readonly query?: string
  readonly headers?: Record<string, string>
  /** A signed-in user to whom nothing of it belongs. Absent where the operation knows nobody but its caller. */
  readonly stranger?: Verdict
  /** A reader of the organisation and viewer of the room. */
  readonly reader?: Verdict
  /** It gives or takes access, or reaches a host: it must know of an ended session at once. */
  readonly isPower?: true
}

/** Open to anybody: what it takes is itself the proof. */
const PUBLIC: Rule = {}
/** About nobody but the caller: there is no other person's thing to name. */
const OWN: Rule = {}
const OWN_POWER: Rule = { isPower: true }
const own = (body: unknown, more: Rule = {}): Rule => ({ body, ...more })
/** Of another person alone: nobody else finds it. */
const PERSONAL: Rule = { stranger: 'not-found', reader: 'not-found' }
const ADMIN: Rule = { stranger: 'forbidden', reader: 'forbidden', isPower: true }
/** Of an organisation or a room: strangers find nothing, readers look. */
const SHOWN: Rule = { stranger: 'not-found', reader: 'served' }
/** For owners, operators or editors. */
const GUARDED: Rule = { stranger: 'not-found', reader: 'forbidden' }

/** For owners or operators, and it gives access, takes it, or reaches a host. */
const POWER: Rule = { ...GUARDED, isPower: true }

const KEY = { type: 'ssh-ed25519', key: 'AAAAC3NzaC1lZDI1NTE5AAAAILKwV3XteGnVeqpN3wlycnCHfFRkZ7w9XA7pzYQgPBhS' }
const HOST = { name: 'web-2', address: 'web-2.example.org', user: 'ops', keys: [KEY], credential: { kind: 'password', password: 'x' } }
const SIGNED = {
  id: 'AAAA',
  rawId: 'AAAA',
  type: 'public-key',
  response: { clientDataJSON: 'AAAA', attestationObject: 'AAAA' },
}
const PUSH = {
  endpoint: 'https://fcm.googleapis.com/fcm/send/x',
  keys: { p256dh: 'B'.repeat(87), auth: 'A'.repeat(22) },
}
const UNKNOWN_TOKEN = 'A'.repeat(43)

/** Every operation has its rule: the compiler misses one that has none. */
export const RULES: Readonly<Record<keyof typeof endpoints, Rule>> = {
  register: PUBLIC,
  verifyEmail: PUBLIC,
  resendVerification: PUBLIC,
  login: PUBLIC,
  refresh: PUBLIC,
  logout: PUBLIC,
  getJwks: PUBLIC,
  getOpenIdConfiguration: PUBLIC,
  forgotPassword: PUBLIC,
  resetPassword: PUBLIC,
  askMagicLink: PUBLIC,
  useMagicLink: PUBLIC,
  restoreAccount: PUBLIC,
  finishLogin: PUBLIC,
  startFactorPasskey: PUBLIC,
  startPasskeyLogin: PUBLIC,
  loginWithPasskey: PUBLIC,
  getAuditKey: PUBLIC,
  getLive: PUBLIC,
  getReady: PUBLIC,

  getSession: OWN,
  getMe: OWN,
  updateMe: own({ displayName: 'Other' }, { headers: { 'if-match': '*' } }),
  exportMe: OWN_POWER,
  deleteMe: OWN_POWER,
  listSessions: OWN,
  renameSession: { body: { name: 'Mine' }, ...PERSONAL },
  revokeSession: PERSONAL,
  revokeOtherSessions: OWN,
  changePassword: own({ currentPassword: 'wrong wrong wrong wrong', newPassword: 'seven otters juggle lanterns' }),
  changeEmail: own({ email: 'next@example.net' }, OWN_POWER),
  confirmEmailChange: own({ token: UNKNOWN_TOKEN }, OWN_POWER),
  getFactors: OWN,
  stepUp: own({ method: 'password', password: 'wrong wrong wrong wrong' }),
  startStepUpPasskey: OWN,
  startTotp: OWN_POWER,
  confirmTotp: own({ code: '000000' }, OWN_POWER),
  removeTotp: OWN_POWER,
  makeRecoveryCodes: OWN_POWER,
  removePassword: OWN_POWER,
  listTrustedDevices: OWN,
  revokeTrustedDevice: PERSONAL,
  startPasskey: OWN_POWER,
  createPasskey: own({ name: 'Laptop', attestation: SIGNED }, OWN_POWER),
  listPasskeys: OWN,
  renamePasskey: { body: { name: 'Mine' }, ...PERSONAL },
  deletePasskey: { ...PERSONAL, isPower: true },
  createApiKey: own({ name: 'Key', scopes: ['rooms:read'] }, OWN_POWER),
  listApiKeys: OWN,
  renameApiKey: { body: { name: 'Mine' }, ...PERSONAL },
  revokeApiKey: PERSONAL,

  listUsers: ADMIN,
  getUser: ADMIN,
  disableUser: { body: { reason: 'Spam' }, ...ADMIN },
  enableUser: { body: { reason: 'Mistake' }, ...ADMIN },
  endUserSessions: ADMIN,
  removeUserFactors: { body: { reason: 'Lost phone' }, ...ADMIN },
  endAllSessions: ADMIN,
  listUserActivity: ADMIN,
  listPlatformAudit: ADMIN,
  verifyPlatformAudit: ADMIN,
  createPlatformAuditExport: { body: { format: 'csv' }, ...ADMIN },
  setUserRoles: { body: { roles: ['admin'] }, ...ADMIN },

  createOrg: own({ name: 'Own' }),
  listOrgs: OWN,
  getOrg: SHOWN,
  renameOrg: { body: { name: 'Taken' }, ...GUARDED },
  deleteOrg: POWER,
  transferOrg: { body: { userId: 'usr_01jd0000000000000000000001' }, ...POWER },
  listOrgMembers: SHOWN,
  putOrgMember: { body: { role: 'reader' }, ...POWER },
  removeOrgMember: POWER,
  inviteOrgMember: { body: { email: 'eve@example.net', role: 'owner' }, ...POWER },
  listOrgInvitations: GUARDED,
  resendOrgInvitation: POWER,
  withdrawOrgInvitation: GUARDED,
  showInvitation: { body: { token: UNKNOWN_TOKEN }, ...PERSONAL },
  acceptInvitation: { body: { token: UNKNOWN_TOKEN }, ...PERSONAL },
  declineInvitation: { body: { token: UNKNOWN_TOKEN }, ...PERSONAL },
  listMyActivity: OWN,
  listOrgAudit: GUARDED,
  verifyOrgAudit: GUARDED,
  listOrgCheckpoints: GUARDED,
  createOrgAuditExport: { body: { format: 'csv' }, ...POWER },

  createWebhook: own({ url: 'https://app.example.net/hook', kinds: ['room.created'] }, OWN_POWER),
  listWebhooks: OWN,
  getWebhook: GUARDED,
  updateWebhook: { body: { url: 'https://eve.example.net/hook' }, ...POWER },
  deleteWebhook: GUARDED,
  rotateWebhookSecret: POWER,
  listWebhookDeliveries: GUARDED,
  replayWebhookDelivery: GUARDED,

  createRoom: own({ name: 'Own' }),
  listRooms: OWN,
  getRoom: SHOWN,
  getRoomStats: GUARDED,
  updateRoom: { body: { name: 'Taken' }, ...GUARDED },
  deleteRoom: POWER,
  listRoomMembers: SHOWN,
  putRoomMember: { body: { role: 'viewer' }, ...POWER },
  removeRoomMember: POWER,
  createRoomTicket: SHOWN,
  listRoomMessages: SHOWN,
  publishRoomMessage: { body: { cid: 'abcdefgh', action: { kind: 'post', text: 'Hello' } }, ...GUARDED },
  getMessageRetention: SHOWN,
  setMessageRetention: { body: { ttlSeconds: 3600 }, ...GUARDED },
  createRoomInvite: { body: { role: 'editor' }, ...POWER },
  listRoomInvites: GUARDED,
  revokeRoomInvite: GUARDED,
  acceptRoomInvite: { body: { token: UNKNOWN_TOKEN }, stranger: 'code-invalid', reader: 'code-invalid' },
  getRoomDocument: SHOWN,
  patchRoomDocument: { body: { operations: [{ op: 'text.set', name: 't', text: 'Taken' }] }, ...GUARDED },
  listRoomVersions: SHOWN,
  createRoomVersion: { body: { name: 'Second' }, ...GUARDED },
  getRoomVersion: SHOWN,
  diffRoomVersion: SHOWN,
  restoreRoomVersion: GUARDED,

  scanHost: { body: { address: 'web-2.example.org' }, ...POWER },
  createHost: { body: HOST, ...POWER },
  listHosts: SHOWN,
  getHost: SHOWN,
  updateHost: { body: { name: 'Taken' }, ...POWER },
  deleteHost: POWER,
  getSshCa: SHOWN,
  createSshCaKey: POWER,
  deleteSshCaKey: POWER,
  execCommand: { body: { command: 'id' }, ...POWER },
  streamCommand: { body: { command: 'id' }, ...POWER },
  stopCommand: GUARDED,
  openShell: { body: { hostId: 'hst_01jd0000000000000000000001' }, ...POWER },
  getShellPolicy: SHOWN,
  getShellUsage: SHOWN,
  listHooks: GUARDED,
  putHook: { body: { target: { kind: 'module', module: 'change-freeze' } }, ...POWER },
  deleteHook: POWER,
  putShellPolicy: {
    body: { uses: ['shell'], stepUp: false, reach: null, allow: null, deny: [], alerts: [], fileRoots: null },
    headers: { 'if-match': '*' },
    ...POWER,
  },
  requestAccess: { body: { reason: 'To look.' }, ...GUARDED },
  listAccessRequests: SHOWN,
  decideAccess: { body: { isApproved: true }, stranger: 'not-found', reader: 'not-found', isPower: true },
  endAccess: { ...PERSONAL, isPower: true },
  listFiles: { query: '?path=/etc', ...POWER },
  readFile: { query: '?path=/etc/passwd', ...POWER },
  writeFile: { query: '?path=/etc/passwd', ...POWER },
  startRun: { body: { on: { tag: 'web' }, command: 'id' }, ...POWER },
  listRuns: SHOWN,
  getRun: SHOWN,
  listRunHosts: { stranger: 'not-found', reader: 'forbidden' },
  followRun: { stranger: 'not-found', reader: 'forbidden' },
  cancelRun: GUARDED,
  listShells: OWN,
  listOrgShells: SHOWN,
  getShell: SHOWN,
  closeShell: GUARDED,
  createShellTicket: SHOWN,
  getOversight: SHOWN,
  putOversight: {
    body: { isStrict: false, recordsInput: false, isOpen: true, retentionDays: 1, needsWatcher: false },
    ...POWER,
  },
  listCommands: SHOWN,
  createCommandExport: { body: { format: 'csv', userId: `usr_${'0'.repeat(26)}` }, ...SHOWN },
  listRecordings: SHOWN,
  searchRecordings: { query: '?text=secret', ...SHOWN },
  getRecording: GUARDED,
  listRecordingChunks: GUARDED,
  verifyRecording: GUARDED,
  createRecordingFile: { body: { format: 'raw' }, ...GUARDED },

  listNotifications: OWN,
  getUnread: OWN,
  readNotifications: own({ upTo: 'ntf_01jd0000000000000000000001' }),
  readNotification: PERSONAL,
  deleteNotification: PERSONAL,
  getPush: OWN,
  subscribePush: own(PUSH),
  unsubscribePush: OWN,
  createInboxTicket: OWN,
}
