/**
 * The door to shells for clients that know no path before they are connected: `GET /v1/live/shells`. It opens without a credential; text
 * messages are the JSON frames below.
 *
 *     client  authenticate{token}               service  authenticated{userId, expiresAt}
 *     client  subscribe_session{sessionId}      service  the shell's `hello`, then all that `viewer.ts` says, both ways
 *     client  ping                              service  pong
 *
 * A session here is a shell (`shl_…`), one at a time for each socket. From `hello` on, text and binary messages are those of `ViewerFrame` and
 * `ShellFrame`; the text `ping` is answered too. What cannot be done is told by `error` and may be tried again; a socket that sends what is
 * no frame, or has not authenticated within `SHELL_LIVE_AUTHENTICATE_SECONDS`, is closed with 4000 + the status of the problem.
 */
import * as z from 'zod'
import { Moment } from './id.ts'
import { UserId } from './identity.ts'
import { PROBLEMS, type ProblemSlug } from './problem.ts'
import { ShellId } from './shell.ts'
import { AttachFrame } from './viewer.ts'

/** A socket must authenticate this soon. */
export const SHELL_LIVE_AUTHENTICATE_SECONDS = 10
/** What may wait while a frame is being answered, in UTF-16 units and bytes. */
export const SHELL_LIVE_WAITING_MAX = 65_536

/** What a client sends before its shell speaks, and `ping` at any time. */
export const ShellLiveFrame = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('authenticate'),
    /** An access token or an API key with the scope `shells:write`. */
    token: z
      .string()
      .max(4_096)
      .regex(/^[\w.-]+$/),
  }),
  z.strictObject({ type: z.literal('subscribe_session'), sessionId: ShellId, ...AttachFrame.omit({ type: true }).shape }),
  z.strictObject({ type: z.literal('ping') }),
])
/** What a client sends before its shell speaks. */
export type ShellLiveFrame = z.infer<typeof ShellLiveFrame>

/** What the door answers; the frames of a shell come beside it. */
export const ShellLiveAnswer = z.discriminatedUnion('type', [
  z.object({ type: z.literal('authenticated'), userId: UserId, expiresAt: Moment }),
  z.object({ type: z.literal('pong') }),
  /** What was asked cannot be done; the socket stays. */
  z.object({ type: z.literal('error'), problem: z.enum(Object.keys(PROBLEMS) as [ProblemSlug, ...ProblemSlug[]]), title: z.string() }),
])
/** What the door answers. */
export type ShellLiveAnswer = z.infer<typeof ShellLiveAnswer>
