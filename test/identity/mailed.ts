import type { Email } from 'postal-mime'
import { type Edge, ORIGIN, PASSWORD } from '../harness.ts'
import { post } from './raw.ts'

/** The code and the link's token that a mail carries. */
export function proofIn(mail: Email) {
  const text = mail.text ?? ''
  const link = text.split('\n').find((line) => line.startsWith(`${ORIGIN}/`)) ?? ''
  return { code: /\b(\d{6})\b/.exec(text)?.[1] ?? '', link, token: link.split('#')[1] ?? '' }
}

/** What people do with their mails, over a Worker that is started later. */
export function mailsOf(edge: () => Edge) {
  const newest = async (email: string, count = 1) => proofIn(await edge().mailbox.mailTo(email, count))
  return {
    newest,
    register: (email: string, more: object = {}) => post(edge(), '/v1/auth/register', { email, password: PASSWORD, ...more }),
    verify: (body: object) => post(edge(), '/v1/auth/verify', body),
    resend: (registrationId: unknown) => post(edge(), '/v1/auth/verify/resend', { registrationId }),
    askMagic: (email: string) => post(edge(), '/v1/auth/magic', { email }),
    useMagic: (body: object, headers: Record<string, string> = {}) => post(edge(), '/v1/auth/magic/verify', body, headers),
    login: (email: string, password = PASSWORD) => post(edge(), '/v1/auth/login', { email, password }),
    restore: (token: string) => post(edge(), '/v1/auth/account/restore', { token }),
    /** The newest mail of a kind, by its subject, once it is there. */
    async about(email: string, subject: RegExp) {
      for (let count = 1; ; count++) {
        const mail = await edge().mailbox.mailTo(email, count)
        if (subject.test(mail.subject ?? '')) return proofIn(mail)
      }
    },
  }
}

/** A token of the right shape that nobody was mailed. */
export const FORGED_TOKEN = 'A'.repeat(43)
