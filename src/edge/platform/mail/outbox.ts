import { type SQL, sql } from 'drizzle-orm'
import * as z from 'zod'
import { Email, Locale } from '../../../contract/identity.ts'
import { KeptAccess } from '../../../contract/passwords.ts'
import { type Consumer, DeadEventError, type OutboxEvent, outboxEventIf } from '../outbox/outbox.ts'
import type { Scope } from '../scope.ts'
import { deliverMail, isHopeless } from './delivery.ts'
import { checkMail, MAIL_KINDS, MAILED_FACTORS, renderMail } from './message.ts'
import { MailError } from './transport.ts'

/** The outbox topic of mails. */
export const MAIL_TOPIC = 'mail.send'

const QueuedMail = z.strictObject({
  to: Email,
  locale: Locale,
  kind: z.enum(MAIL_KINDS),
  code: z.string().optional(),
  /** The host is added when the mail is written: it comes from the configuration alone. */
  link: z
    .string()
    .regex(/^\/[\w/-]*(?:\?[\w=&-]*)?#[\w.-]+$/)
    .optional(),
  /** Where the link leads, if not to us; it is looked up again when the mail is written. */
  app: z.string().optional(),
  factor: z.enum(MAILED_FACTORS).optional(),
  minutes: z.int().optional(),
  kept: KeptAccess.optional(),
  event: z
    .strictObject({
      at: z.int(),
      browser: z.string().nullable(),
      system: z.string().nullable(),
      country: z.string().nullable(),
      city: z.string().nullable(),
    })
    .optional(),
})

/** A mail to be written and sent once the batch that carries it is in. */
export type QueuedMail = z.input<typeof QueuedMail>

/**
 * Queues a mail, if the batch that carries it finds it due. Nobody waits for its delivery: waiting would tell whether an
 * address is known.
 */
export function mailEventIf(scope: Scope, mail: QueuedMail, condition: SQL): Promise<OutboxEvent> {
  checkMail(mail)
  return outboxEventIf(scope, { topic: MAIL_TOPIC, payload: mail, condition })
}

/** The condition of a copy: the statement right before it in the batch counted it. */
export const ofCopy: SQL = sql`changes() > 0`

const PURPOSE = 'mail-copy'

/** A mail kept with its request, so that a copy carries the very same code and link. */
export const sealMail = ({ config }: Scope, requestId: string, mail: QueuedMail): Promise<string> =>
  config.keyring.seal(PURPOSE, requestId, new TextEncoder().encode(JSON.stringify(mail)))

/** Opens what {@link sealMail} has sealed for the same request. */
export const openMail = async ({ config }: Scope, requestId: string, sealed: string): Promise<QueuedMail> =>
  QueuedMail.parse(JSON.parse(new TextDecoder().decode(await config.keyring.open(PURPOSE, requestId, sealed))))

/** Sends one queued mail. A crash can repeat it: the copy has the same code and the same message id. */
export const sendMailConsumer: Consumer = async (scope, { id, payload }) => {
  const { to, ...mail } = QueuedMail.parse(payload)
  try {
    const { way } = await deliverMail(scope, { to, ...renderMail(mail, scope.config), idempotencyKey: id })
    scope.log('mail.sent', { eventId: id, way, kind: mail.kind })
  } catch (error) {
    throw error instanceof MailError && isHopeless(error) ? new DeadEventError('the mail was refused for good', { cause: error }) : error
  }
}
