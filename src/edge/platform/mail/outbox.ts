import { type SQL, sql } from 'drizzle-orm'
import * as z from 'zod'
import { Email, Locale } from '../../../contract/identity.ts'
import { type Consumer, DeadEventError, type OutboxEvent, outboxEventIf } from '../outbox/outbox.ts'
import type { Scope } from '../scope.ts'
import { chooseTransport } from './mail.ts'
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
  factor: z.enum(MAILED_FACTORS).optional(),
  minutes: z.int().optional(),
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

/** A refused login or sender is our set-up's fault: such mail waits until that is mended. */
const isHopeless = (error: unknown): boolean =>
  error instanceof MailError && error.kind === 'refused' && error.reason !== 'auth' && error.reason !== 'sender'

/** Sends one queued mail. A crash can repeat it: the copy has the same code and the same message id. */
export const sendMailConsumer: Consumer = async (scope, { id, payload }) => {
  const { to, ...mail } = QueuedMail.parse(payload)
  const transport = chooseTransport(scope.config.mail, scope.env)
  const rendered = renderMail(mail, scope.config)
  try {
    await transport.send({ to, ...rendered, idempotencyKey: id })
    scope.log('mail.sent', { eventId: id, transport: transport.name, kind: mail.kind })
  } catch (error) {
    throw isHopeless(error) ? new DeadEventError(`${transport.name} refused the mail for good`, { cause: error }) : error
  }
}
