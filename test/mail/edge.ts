import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MailConfig } from '../../src/edge/platform/mail/mail.ts'
import type { Message } from '../../src/edge/platform/mail/transport.ts'
import type { Order, Outcome } from './worker.ts'

/** Our mail code in the real runtime. */
export interface MailEdge {
  ask(order: Order): Promise<Outcome>
  /** In one invocation of the Worker, one after the other. */
  askAll(orders: readonly Order[]): Promise<Outcome[]>
  fetch(path: string): Promise<unknown>
  close(): Promise<void>
}

/** Starts workerd; it trusts `authority` (PEM) beside the public roots. */
export async function startMailEdge({ authority, emailService }: { authority?: string; emailService?: string } = {}): Promise<MailEdge> {
  const folder = mkdtempSync(join(tmpdir(), 'mail-edge-'))
  if (authority !== undefined) {
    writeFileSync(join(folder, 'authority.pem'), authority)
    // Read once, when wrangler's runtime is first imported; hence the import below this line.
    process.env['NODE_EXTRA_CA_CERTS'] = join(folder, 'authority.pem')
  }
  const { createTestHarness } = await import('wrangler')
  const own = { configPath: new URL('wrangler.toml', import.meta.url) }
  const service = { configPath: new URL('email-service/wrangler.toml', import.meta.url) }
  const workers = emailService === undefined ? [own] : [{ ...own, bindingOverrides: { EMAIL: emailService } }, service]
  const harness = createTestHarness({ workers })
  await harness.listen()
  const askAll = async (orders: readonly Order[]) =>
    (await (await harness.fetch('/', { method: 'POST', body: JSON.stringify(orders) })).json()) as Outcome[]
  return {
    askAll,
    ask: async (order) => (await askAll([order]))[0]!,
    fetch: async (path) => (await harness.fetch(path)).json(),
    close: async () => {
      await harness.close()
      rmSync(folder, { recursive: true })
    },
  }
}

export const SENDER = { from: 'hello@parvis.example', fromName: 'Parvis' } as const

/** A configuration of our sender with this transport. */
export function via(transport: MailConfig['transport']): MailConfig {
  return { ...SENDER, transport }
}

/** The secret of every test mail: it must arrive, and show nowhere else. */
export const CODE = '048213'

/** A mail to Ada, but for `changes`. */
export function mailTo(changes: Partial<Message> = {}): Message {
  return {
    to: 'ada@example.org',
    subject: 'Confirm your address',
    text: `Your code is ${CODE}.\n`,
    html: `<p>Your code is ${CODE}.</p>`,
    idempotencyKey: 'evt_1',
    ...changes,
  }
}
