import { fingerprintOf, handOver, MailError, type MailFailure, type MailTransport, type Sender, within } from './transport.ts'

/** The part of the platform's `send_email` binding that we use. */
export interface EmailBinding {
  send(mail: {
    to: string
    from: { email: string; name: string }
    subject: string
    text: string
    html: string
    headers: Record<string, string>
  }): Promise<{ messageId: string }>
}

/** Below the 30 s that `waitUntil` grants. */
const SEND_TIMEOUT_MS = 20_000

/** The codes that a second attempt cannot change (Email Service, Workers API, "Error codes"). All others may pass later. */
const REFUSALS: Readonly<Record<string, MailFailure>> = {
  E_VALIDATION_ERROR: 'content',
  E_FIELD_MISSING: 'content',
  E_TOO_MANY_RECIPIENTS: 'content',
  E_CONTENT_TOO_LARGE: 'content',
  E_HEADER_NOT_ALLOWED: 'content',
  E_HEADER_USE_API_FIELD: 'content',
  E_HEADER_VALUE_INVALID: 'content',
  E_HEADER_VALUE_TOO_LONG: 'content',
  E_HEADER_NAME_INVALID: 'content',
  E_HEADERS_TOO_LARGE: 'content',
  E_HEADERS_TOO_MANY: 'content',
  E_SENDER_NOT_VERIFIED: 'sender',
  E_SENDER_DOMAIN_NOT_AVAILABLE: 'sender',
  E_RECIPIENT_NOT_ALLOWED: 'recipient',
  E_RECIPIENT_SUPPRESSED: 'recipient',
}

const QUOTAS: ReadonlySet<string> = new Set(['E_RATE_LIMIT_EXCEEDED', 'E_DAILY_LIMIT_EXCEEDED'])

/** Mail through Cloudflare's Email Service. */
export function createCloudflareTransport(binding: EmailBinding, sender: Sender): MailTransport {
  return {
    name: 'cloudflare',
    async send({ to, subject, text, html, idempotencyKey }) {
      const headers = {
        'Auto-Submitted': 'auto-generated',
        // The service sets the Message-ID itself; this is how a duplicate is known.
        'X-Entity-Ref-ID': await fingerprintOf(idempotencyKey),
      }
      const from = { email: sender.address, name: sender.name }
      try {
        const { messageId } = await handOver(() =>
          within(SEND_TIMEOUT_MS, 'send_email', binding.send({ to, from, subject, text, html, headers })),
        )
        return { id: messageId }
      } catch (error) {
        throw error instanceof MailError ? error : readRefusal(error)
      }
    },
    // The binding has no way to ask; that it is there was checked when it was chosen.
    probe: async () => undefined,
  }
}

function readRefusal(error: unknown): MailError {
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E_[A-Z_]{1,60}$/.test(error.code)
      ? error.code
      : undefined
  const detail = `the email service answered ${code ?? 'without a code'}`
  const refusal = code === undefined ? undefined : REFUSALS[code]
  if (refusal !== undefined) return new MailError('refused', refusal, detail)
  return new MailError('retry', code !== undefined && QUOTAS.has(code) ? 'quota' : 'server', detail)
}
