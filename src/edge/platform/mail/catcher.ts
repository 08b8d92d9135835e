import { domainOf, fingerprintOf, MailError, type MailTransport, type Sender } from './transport.ts'

/** The catcher is a process on the same machine; slower than this means it is not there. */
const CATCHER_TIMEOUT_MS = 5_000

/** Mail to the local catcher, which keeps it for reading and delivers nothing. */
export function createCatcherTransport(url: string, sender: Sender): MailTransport {
  return {
    name: 'catcher',
    async send({ to, subject, text, html, idempotencyKey }) {
      const id = `<${await fingerprintOf(idempotencyKey)}@${domainOf(sender.address)}>`
      const mail = { messageId: id, from: `${sender.name} <${sender.address}>`, to, subject, text, html }
      const headers = { 'content-type': 'application/json' }
      const status = await ask(new URL('/messages', url), { method: 'POST', headers, body: JSON.stringify(mail) })
      if (status === 201) return { id }
      throw new MailError(status >= 400 && status < 500 ? 'refused' : 'retry', 'server', `the mail catcher answered ${status}`)
    },
    async probe() {
      const status = await ask(new URL('/health', url), {})
      if (status !== 200) throw new MailError('retry', 'server', `the mail catcher answered ${status}`)
    },
  }
}

async function ask(url: URL, init: RequestInit): Promise<number> {
  try {
    const answer = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(CATCHER_TIMEOUT_MS) })
    await answer.arrayBuffer()
    return answer.status
  } catch {
    throw new MailError('retry', 'connection', 'the mail catcher cannot be reached')
  }
}
