import * as z from 'zod'
import { Moment } from '../../contract/id.ts'
import { type FactorRequired, PendingId } from '../../contract/identity.ts'
import { FactorMethod, TOTP_DIGITS } from '../../contract/proof.ts'

const KEY = 'parvis.factor'

const Held = z.object({ pendingId: PendingId, methods: z.array(FactorMethod), expiresAt: Moment, next: z.string() })
/** A sign-in of this tab that waits for its second factor, and where to go after it. */
export type Held = z.infer<typeof Held>

/** Goes on to where a sign-in leads: through the second factor where one is asked for. */
export function enter(required: FactorRequired['factorRequired'] | undefined, next: string): void {
  if (!required) return location.assign(next)
  sessionStorage.setItem(KEY, JSON.stringify({ ...required, next }))
  location.assign('/login/factor')
}

/** The sign-in that waits, while it does. */
export function held(): Held | undefined {
  try {
    const found = Held.safeParse(JSON.parse(sessionStorage.getItem(KEY) ?? 'null'))
    return found.success && Date.parse(found.data.expiresAt) > Date.now() ? found.data : undefined
  } catch {
    return undefined
  }
}

/** Forgets it. */
export const dropHeld = (): void => sessionStorage.removeItem(KEY)

/** What a code that somebody typed proves: those of an app are digits, recovery codes are longer. */
export const proofOfCode = (code: string) => {
  const isTotp = new RegExp(`^\\d{${TOTP_DIGITS}}$`).test(code.replace(/\s/g, ''))
  return { method: isTotp ? 'totp' : 'recovery-code', code } as const
}
