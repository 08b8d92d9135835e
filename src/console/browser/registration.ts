import * as z from 'zod'
import { Moment } from '../../contract/id.ts'
import { RegistrationId } from '../../contract/identity.ts'

/** A registration that waits for its code. */
const Pending = z.object({ registrationId: RegistrationId, email: z.string(), expiresAt: Moment })
/** A registration that waits for its code. */
export type Pending = z.infer<typeof Pending>

const PENDING = 'parvis.registration'
const CONFIRMED = 'parvis.confirmed'

/** The registration of this browser, while its code can still be used. */
export function pending(): Pending | undefined {
  const text = localStorage.getItem(PENDING)
  const found = Pending.safeParse(text === null ? undefined : parsed(text))
  if (found.success && Date.parse(found.data.expiresAt) > Date.now()) return found.data
  forgetPending()
  return undefined
}

/** What the storage holds may be anything: another version of this page wrote there. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Remembers it for this browser: neither a reload nor the mailed link, which opens another tab, loses the proof's other half. */
export const keepPending = (pending: Pending): void => localStorage.setItem(PENDING, JSON.stringify(pending))

/** Forgets it. */
export const forgetPending = (): void => localStorage.removeItem(PENDING)

/** Leaves word for the sign-in page that this address was just proven; empty when the proof did not tell which. */
export function keepConfirmed(email: string): void {
  forgetPending()
  sessionStorage.setItem(CONFIRMED, email)
}

/** The address that was just proven, once. */
export function takeConfirmed(): string | undefined {
  const email = sessionStorage.getItem(CONFIRMED) ?? undefined
  sessionStorage.removeItem(CONFIRMED)
  return email
}
