import { createCatcherTransport } from './catcher.ts'
import { createCloudflareTransport, type EmailBinding } from './cloudflare.ts'
import { createSmtpTransport, SMTP_TIMEOUTS, type SmtpSettings, type SmtpTimeouts } from './smtp.ts'
import { checkMessage, isAddress, isHeaderText, type MailTransport } from './transport.ts'

/** Who mail is from and which way it leaves. */
export type MailConfig = {
  readonly from: string
  readonly fromName: string
  readonly transport:
    | { readonly kind: 'cloudflare' }
    | ({ readonly kind: 'smtp' } & SmtpSettings)
    | { readonly kind: 'catcher'; readonly url: string }
}

/** What of the Worker's environment mail may use. */
export interface MailBindings {
  readonly EMAIL?: EmailBinding | undefined
}

/** One line in a mailbox list. */
const FROM_NAME_CHARS_MAX = 100

/** @throws Error saying what is wrong with the configuration, without its values. */
export function chooseTransport(config: MailConfig, env: MailBindings, timeouts: SmtpTimeouts = SMTP_TIMEOUTS): MailTransport {
  if (!isAddress(config.from)) throw new Error('mail: from is not one plain address')
  if (!isHeaderText(config.fromName, FROM_NAME_CHARS_MAX)) throw new Error('mail: fromName is not one line')
  const chosen = openTransport(config, env, timeouts)
  return {
    name: chosen.name,
    probe: () => chosen.probe(),
    send: async (message) => {
      checkMessage(message)
      return chosen.send(message)
    },
  }
}

function openTransport({ from, fromName, transport }: MailConfig, env: MailBindings, timeouts: SmtpTimeouts): MailTransport {
  const sender = { address: from, name: fromName }
  switch (transport.kind) {
    case 'cloudflare':
      if (env.EMAIL === undefined) throw new Error('mail: the EMAIL binding is missing')
      return createCloudflareTransport(env.EMAIL, sender)
    case 'smtp':
      checkSmtp(transport)
      return createSmtpTransport(transport, sender, timeouts)
    case 'catcher':
      if (!isLoopbackUrl(transport.url)) throw new Error('mail: the catcher may only be on loopback')
      return createCatcherTransport(transport.url, sender)
  }
}

function checkSmtp({ host, tls, username, password }: SmtpSettings): void {
  if (tls === 'none' && !isLoopback(host)) throw new Error('mail: smtp without TLS may only go to loopback')
  if ((username === undefined) !== (password === undefined)) throw new Error('mail: smtp needs both username and password, or neither')
  // A NUL separates the fields of AUTH PLAIN (RFC 4616).
  if (username === '' || password === '' || `${username}${password}`.includes('\0')) throw new Error('mail: smtp credentials are unusable')
}

/** This machine, by a name or address that can mean nothing else. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

function isLoopbackUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && url.protocol === 'http:' && isLoopback(url.hostname) && url.username === '' && url.password === ''
}
