import type { Actor } from './scope.ts'

/** Somebody on their way to an object that holds sockets. */
export interface Admission extends Pick<Actor, 'userId' | 'sessionId' | 'expiresAt'> {
  /** Set when a ticket opened the door: the object lets it through once. */
  readonly ticket: { readonly jti: string; readonly expiresAt: number } | null
  /** The subprotocol to answer with. */
  readonly subprotocol: string | null
}

const ADMISSION_HEADER = 'parvis-admission'
const REFUSAL_HEADER = 'parvis-refusal'

/** The upgrade as the object sees it: made afresh, so nothing a client sent comes along, neither a header that names a role nor an offer to compress. */
export const upgradeFor = (admission: Admission, traceparent: string): Request =>
  new Request('https://object/', { headers: { upgrade: 'websocket', traceparent, [ADMISSION_HEADER]: JSON.stringify(admission) } })

/** The admission of an upgrade. Only the Worker can reach an object, so what it says is true. */
export function admissionOf<A extends Admission>(request: Request): A {
  const header = request.headers.get(ADMISSION_HEADER)
  if (header === null) throw new Error('an upgrade without admission')
  return JSON.parse(header) as A
}

/** How an object declines an upgrade. */
export const declined = (slug: string): Response => new Response(null, { status: 409, headers: { [REFUSAL_HEADER]: slug } })

/** Why an object declined, if it did. */
export const refusalOf = (response: Response): string | null => response.headers.get(REFUSAL_HEADER)
