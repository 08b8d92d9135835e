/** One mail to one person. */
export interface Message {
  /** ASCII address; an international domain comes in its `xn--` form. */
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
  /** The same for every attempt at the same mail, so that a duplicate after a crash carries the same Message-ID. */
  readonly idempotencyKey: string
}

/** Who the mail is from. */
export interface Sender {
  readonly address: string
  readonly name: string
}

/** A way out for mail. Both verbs throw `MailError` and nothing else. */
export interface MailTransport {
  readonly name: 'cloudflare' | 'smtp' | 'catcher'
  /** Hands one mail over. */
  send(message: Message): Promise<{ readonly id: string }>
  /** Asks whether mail could be handed over now, without sending any. */
  probe(): Promise<void>
}

/** What went wrong, in one word. */
export type MailFailure = 'connection' | 'timeout' | 'tls' | 'protocol' | 'server' | 'auth' | 'sender' | 'recipient' | 'content' | 'quota'

/**
 * A mail that did not leave. `retry` may pass later; `refused` fails again however often it is tried.
 * The words are ours: never the server's text, which can quote the recipient, nor the mail, nor a credential.
 */
export class MailError extends Error {
  readonly kind: 'retry' | 'refused'
  readonly reason: MailFailure
  /** Whether the mail was handed over whole and only the answer is missing. */
  mayHaveLeft = false

  constructor(kind: 'retry' | 'refused', reason: MailFailure, detail: string) {
    super(detail)
    this.name = 'MailError'
    this.kind = kind
    this.reason = reason
  }
}

/** Runs what hands a mail over: an answer that does not come says nothing about whether the mail has left. */
export async function handOver<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MailError && ['timeout', 'connection', 'protocol'].includes(error.reason)) error.mayHaveLeft = true
    throw error
  }
}

/** RFC 5321 §4.5.3.1.3 allows 256 octets for a path, of which two are its brackets. */
export const ADDRESS_CHARS_MAX = 254
/** Far above any subject we write; keeps the header to a few folded lines. */
export const SUBJECT_CHARS_MAX = 200
/** Per part; a transactional mail has a few KiB. */
export const BODY_CHARS_MAX = 256 * 1024

const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const DOMAIN = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/

/** One address, as RFC 5321 writes a dot-string mailbox: no quotes, no list, no brackets, nothing a header or command could end at. */
export function isAddress(text: string): boolean {
  if (text.length > ADDRESS_CHARS_MAX) return false
  const at = text.lastIndexOf('@')
  return at > 0 && at <= 64 && LOCAL_PART.test(text.slice(0, at)) && DOMAIN.test(text.slice(at + 1))
}

/** Text that stays on its own header line in every mail program. */
export function isHeaderText(text: string, charsMax: number): boolean {
  return text.length > 0 && text.length <= charsMax && text.isWellFormed() && !/[\p{Cc}\u2028\u2029]/u.test(text)
}

function isBody(text: string): boolean {
  return text.length > 0 && text.length <= BODY_CHARS_MAX && text.isWellFormed() && !text.includes('\0')
}

/** @throws MailError `refused` when no transport may carry this message. */
export function checkMessage(message: Message): void {
  if (!isAddress(message.to)) throw new MailError('refused', 'recipient', 'the recipient is not one plain address')
  if (!isHeaderText(message.subject, SUBJECT_CHARS_MAX)) throw new MailError('refused', 'content', 'the subject is not one line')
  if (!isBody(message.text) || !isBody(message.html)) throw new MailError('refused', 'content', 'the body is empty, too large or broken')
  if (!isHeaderText(message.idempotencyKey, SUBJECT_CHARS_MAX)) throw new MailError('refused', 'content', 'the idempotency key is unusable')
}

/** The left half of the Message-ID: 128 bits that say nothing about the key. */
export async function fingerprintOf(idempotencyKey: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(idempotencyKey))
  return [...new Uint8Array(digest, 0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The part after the @. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}

/** The outcome of `work`, or a `timeout` once `timeoutMs` have passed; `work` is left to its caller to stop. */
export async function within<T>(timeoutMs: number, stage: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new MailError('retry', 'timeout', `no answer in time at ${stage}`)), timeoutMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
