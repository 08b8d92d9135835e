import type { SessionId, UserId } from '../../src/contract/identity.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import type { ShellId } from '../../src/contract/shell.ts'
import { decodeViewChunk, ShellFrame, type ViewerFrame } from '../../src/contract/viewer.ts'
import { refusalOf, upgradeFor } from '../../src/edge/platform/admission.ts'
import type { ViewerAdmission } from '../../src/edge/shell/admission.ts'
import type { ShellRecord } from '../../src/edge/shell/record.ts'

export const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
export const OPENER = 'usr_01jd0000000000000000000001' as UserId

/** A record as an opened shell has it. */
export const recordOf = (change: Partial<ShellRecord>): ShellRecord => ({
  shellId: 'shl_test' as ShellId,
  orgId: 'org_test' as OrgId,
  userId: OPENER,
  target: { address: '192.0.2.1', port: 22 },
  relayId: null,
  state: 'detached',
  reason: null,
  needsWatcher: false,
  lockedBy: null,
  columns: 80,
  rows: 24,
  epoch: 1,
  version: 1,
  reportedVersion: 1,
  exit: null,
  ending: null,
  unlinkedAt: Date.now(),
  endedAt: null,
  traceparent: TRACEPARENT,
  ...change,
})

/** A viewer as the Worker would admit it. */
export const admissionOf = (change: Partial<ViewerAdmission> = {}): ViewerAdmission => ({
  userId: OPENER,
  sessionId: 'ses_opener' as SessionId,
  role: 'owner',
  expiresAt: Date.now() + 900_000,
  ticket: null,
  subprotocol: null,
  ...change,
})

/** A viewer's end of a socket of the object. */
export async function viewerOf(shell: { fetch(request: Request): Promise<Response> }, change: Partial<ViewerAdmission> = {}) {
  const response = await shell.fetch(upgradeFor(admissionOf(change), TRACEPARENT))
  const socket = response.webSocket
  if (!socket) return { refused: refusalOf(response) } as const
  socket.binaryType = 'arraybuffer'
  socket.accept()
  const frames: ShellFrame[] = []
  const chunks: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  let closed: { readonly code: number; readonly reason: string } | undefined
  socket.addEventListener('message', ({ data }) => {
    const chunk = typeof data === 'string' ? undefined : decodeViewChunk(data as ArrayBuffer)
    if (chunk) chunks.push(chunk)
    else frames.push(ShellFrame.parse(JSON.parse(data as string)))
  })
  socket.addEventListener('close', ({ code, reason }) => {
    closed = { code, reason }
  })
  return {
    refused: undefined,
    socket,
    frames,
    chunks,
    closed: () => closed,
    tell: (frame: ViewerFrame) => socket.send(JSON.stringify(frame)),
    receivedTo: () => {
      const last = chunks.at(-1)
      return last ? last.offset + last.bytes.length : 0
    },
  } as const
}
