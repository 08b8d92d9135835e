import { domainOf, type Message, type Sender } from './transport.ts'

/** What a composed mail is made of. */
export interface MimeParts {
  readonly message: Message
  readonly sender: Sender
  /** See `fingerprintOf`. */
  readonly fingerprint: string
  readonly sentAt: Date
}

/** The mail as RFC 5322 bytes: two alternatives in quoted-printable, so every line is short ASCII ended by CRLF. */
export async function composeMime({ message, sender, fingerprint, sentAt }: MimeParts): Promise<Uint8Array> {
  // Imported on first use: its start-up takes milliseconds that isolates which never speak SMTP should not pay.
  const { default: MimeNode } = await import('nodemailer/lib/mime-node')
  const root = new MimeNode('multipart/alternative', {
    newline: 'win',
    baseBoundary: fingerprint,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  root.setHeader({
    From: { name: sender.name, address: sender.address },
    To: { name: '', address: message.to },
    Subject: message.subject,
    Date: sentAt,
    'Message-ID': `<${fingerprint}@${domainOf(sender.address)}>`,
    // RFC 3834: out-of-office programs stay silent.
    'Auto-Submitted': 'auto-generated',
  })
  for (const [type, body] of [
    ['text/plain', message.text],
    ['text/html', message.html],
  ] as const) {
    root.createChild(`${type}; charset=utf-8`).setHeader('Content-Transfer-Encoding', 'quoted-printable').setContent(body)
  }
  return root.build()
}
