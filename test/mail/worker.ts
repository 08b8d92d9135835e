import { chooseTransport, type MailBindings, type MailConfig } from '../../src/edge/platform/mail/mail.ts'
import type { SmtpTimeouts } from '../../src/edge/platform/mail/smtp.ts'
import { MailError, type Message } from '../../src/edge/platform/mail/transport.ts'

/** What a test asks: send a message, or probe when there is none. */
export interface Order {
  readonly config: MailConfig
  readonly message?: Message | undefined
  readonly timeouts?: SmtpTimeouts | undefined
}

/** How it ended. `words` is everything a log could have got hold of. */
export type Outcome =
  | { readonly id: string }
  | { readonly kind: 'retry' | 'refused' | 'config'; readonly reason: string; readonly words: string }

async function carryOut({ config, message, timeouts }: Order, env: MailBindings): Promise<Outcome> {
  try {
    const transport = chooseTransport(config, env, timeouts)
    if (message) return { id: (await transport.send(message)).id }
    await transport.probe()
    return { id: transport.name }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const words = JSON.stringify([error.message, error.stack, error.cause, error])
    return error instanceof MailError ? { kind: error.kind, reason: error.reason, words } : { kind: 'config', reason: error.message, words }
  }
}

/** All orders in one invocation, one after the other, as a queue consumer works through its batch. */
async function carryOutAll(orders: readonly Order[], env: MailBindings): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const order of orders) outcomes.push(await carryOut(order, env))
  return outcomes
}

export default {
  fetch: async (request: Request, env: MailBindings) => Response.json(await carryOutAll((await request.json()) as Order[], env)),
}
