import { type Edge, PASSWORD } from '../harness.ts'
import { until } from '../until.ts'
import { type Answer, post, read } from './raw.ts'

/** A signed-in device, as its sign-in was answered. */
export interface Device {
  readonly accessToken: string
  readonly refreshToken: string
  readonly sessionId: string
  readonly userId: string
  readonly deviceToken: string
}

/** Any code but this one. */
export const wrong = (code: string) => (code === '000000' ? '000001' : '000000')
/** What an answer must share with another to tell nothing by its shape. */
export const shapeOf = ({ status, headers, body }: Answer) => ({
  status,
  headers: [...headers.keys()].sort(),
  keys: Object.keys(body).sort(),
})
/** How many answers have a status. */
export const tally = (answers: readonly Answer[], status: number) => answers.filter((a) => a.status === status).length

/** What people do with their passwords, over a Worker that is started later. */
export function accountsOf(edge: () => Edge) {
  const login = (email: string, password = PASSWORD) => post(edge(), '/v1/auth/login', { email, password })
  const forgot = (email: string) => post(edge(), '/v1/auth/password/forgot', { email })
  const mailsTo = (email: string, subject: RegExp) =>
    edge()
      .mailbox.to(email)
      .filter((mail) => subject.test(mail.subject ?? ''))
  const count = async (sql: string, ...values: unknown[]) =>
    (
      await edge()
        .db.prepare(sql)
        .bind(...values)
        .first<{ n: number }>()
    )?.n
  return {
    login,
    forgot,
    mailsTo,
    count,
    async signIn(email: string, password = PASSWORD): Promise<Device> {
      const answer = await login(email, password)
      if (answer.status !== 200) throw new Error(`login answered ${answer.status}`)
      return answer.body as unknown as Device
    },
    change: (device: Device, currentPassword: string, newPassword: string) =>
      post(edge(), '/v1/auth/password/change', { currentPassword, newPassword }, { authorization: `Bearer ${device.accessToken}` }),
    reset: (resetId: unknown, code: string, newPassword: string) => post(edge(), '/v1/auth/password/reset', { resetId, code, newPassword }),
    refresh: ({ refreshToken }: Device) => post(edge(), '/v1/auth/refresh', { refreshToken }),
    look: async ({ accessToken }: Device) =>
      read(await edge().request('/v1/auth/session', { headers: { authorization: `Bearer ${accessToken}` } })),
    entries: async (subject: string, action: string) =>
      (await edge().db.prepare('SELECT cause, actor_id FROM audit_entries WHERE subject = ? AND action = ?').bind(subject, action).all())
        .results,
    /** Waits until every mail that is due is out. */
    settle: () =>
      until(async () => (await count('SELECT count(*) AS n FROM outbox_events WHERE done_at IS NULL AND dead_at IS NULL')) === 0),
    /** Asks for a reset and reads its code. */
    async ask(email: string): Promise<{ resetId: string; code: string }> {
      const before = mailsTo(email, /^Reset/).length
      const { body } = await forgot(email)
      const mail = await until(async () => mailsTo(email, /^Reset/)[before])
      return { resetId: String(body['resetId']), code: /\b(\d{6})\b/.exec(mail.text ?? '')?.[1] ?? '' }
    },
  }
}
