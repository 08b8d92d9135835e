import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'

/** How a mailbox may be made to misbehave. */
export interface MailboxOptions {
  readonly port?: number
  /** Called when a mail is in but not yet acknowledged; the sender waits for it, or for nothing more once the connection is cut. */
  readonly beforeAccept?: (mail: Email, cut: () => void) => Promise<void>
}

/** A real SMTP server on loopback that keeps what it is sent; addresses that start with `refused` get a 550. */
export async function startMailbox({ port = 0, beforeAccept }: MailboxOptions = {}) {
  const mails: Email[] = []
  const waiting = new Set<() => void>()
  const sockets = new Set<Socket>()
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onRcptTo({ address }, _session, done) {
      done(address.startsWith('refused') ? Object.assign(new Error('no such mailbox'), { responseCode: 550 }) : null)
    },
    onData(stream, _session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', async () => {
        const mail = await PostalMime.parse(Buffer.concat(chunks))
        mails.push(mail)
        await beforeAccept?.(mail, cut)
        done()
        for (const wake of waiting) wake()
      })
    },
  })
  // A killed peer resets its connections; that is the point of some tests.
  server.on('error', () => undefined)
  server.server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(port, '127.0.0.1')
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
