import * as z from 'zod'
import { ApiKeyId } from '../../contract/api-keys.ts'
import { toMoment } from '../../contract/id.ts'
import { SessionId, TICKET_TTL_SECONDS, UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { fromBase64Url, toBase64Url } from './base64.ts'
import type { Actor, Scope } from './scope.ts'

const PURPOSE = 'ticket'

const Claims = z.strictObject({
  jti: z.string(),
  /** What it opens, e.g. `rm_…`: a ticket of one room opens no other. */
  aud: z.string(),
  sub: UserId,
  sid: z.union([SessionId, ApiKeyId]),
  /** When the access token behind it expires, Unix milliseconds: a socket must not outlive it unrefreshed. */
  actorExp: z.number(),
  exp: z.number(),
})

/** A checked ticket. The object it opens must still refuse a `jti` it has seen. */
export interface TicketHolder {
  readonly actor: Actor
  readonly jti: string
  /** Unix milliseconds after which the `jti` may be forgotten. */
  readonly expiresAt: number
}

/** A signed pass for one object. Stateless, so a forged one costs no storage. */
export async function mintTicket(
  scope: Scope,
  actor: Actor,
  audience: string,
): Promise<{ readonly ticket: string; readonly expiresAt: number }> {
  const expiresAt = scope.now() + TICKET_TTL_SECONDS * 1000
  const claims = {
    jti: scope.newId('tkt'),
    aud: audience,
    sub: actor.userId,
    sid: actor.sessionId,
    actorExp: actor.expiresAt,
    exp: expiresAt,
  }
  const payload = new TextEncoder().encode(JSON.stringify(claims))
  const mac = await scope.config.keyring.mac(PURPOSE, payload)
  if (!mac) throw new Error('the newest secret has no version')
  return { ticket: `${scope.config.keyring.version}.${toBase64Url(payload)}.${toBase64Url(mac)}`, expiresAt }
}

/** A path with a query that opens by itself for half a minute: for files, which browsers fetch without a token. */
export async function ticketedPath(
  scope: Scope,
  actor: Actor,
  path: string,
): Promise<{ readonly path: string; readonly expiresAt: string }> {
  const { ticket, expiresAt } = await mintTicket(scope, actor, path)
  return { path: `${path}&ticket=${ticket}`, expiresAt: toMoment(expiresAt) }
}

/** @throws Problem `ticket-invalid` when it is forged, foreign or expired. */
export async function checkTicket(scope: Scope, ticket: string, audience: string): Promise<TicketHolder> {
  const [version, payload, mac] = ticket.split('.')
  const payloadBytes = fromBase64Url(payload ?? '')
  const macBytes = fromBase64Url(mac ?? '')
  const expected = payloadBytes && (await scope.config.keyring.mac(PURPOSE, payloadBytes, Number(version)))
  const isGenuine = expected && macBytes && expected.byteLength === macBytes.byteLength && crypto.subtle.timingSafeEqual(expected, macBytes)
  if (!isGenuine || !payloadBytes) throw new Problem('ticket-invalid')
  const claims = Claims.parse(JSON.parse(new TextDecoder().decode(payloadBytes)))
  if (claims.aud !== audience || claims.exp <= scope.now()) throw new Problem('ticket-invalid')
  // What it opens is all that it allows: no role goes along.
  const actor = { userId: claims.sub, sessionId: claims.sid, expiresAt: claims.actorExp, roles: [] }
  return { actor, jti: claims.jti, expiresAt: claims.exp }
}
