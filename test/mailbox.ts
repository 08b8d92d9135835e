import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'

/** A real SMTP server on loopback that keeps what it is sent. */
export async function startMailbox() {
  const mails: Email[] = []
  const waiting = new Set<() => void>()
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, _session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', async () => {
        mails.push(await PostalMime.parse(Buffer.concat(chunks)))
        done()
        for (const wake of waiting) wake()
      })
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')

  const to = (address: string) => mails.filter((m) => m.to?.some((t) => t.address === address))

  /** The `count`-th mail to an address, waiting for it to arrive. */
  async function mailTo(address: string, count = 1): Promise<Email> {
    for (;;) {
      const found = to(address)[count - 1]
      if (found) return found
      await new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake)
          resolve()
        }
        waiting.add(wake)
      })
    }
  }

  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    to,
    mailTo,
    /** The code in the newest mail to an address, waiting for the `count`-th. */
    codeTo: async (address: string, count = 1) => /\b(\d{6})\b/.exec((await mailTo(address, count)).text ?? '')?.[1] ?? '',
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}
