import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, prefixedId } from './id.ts'
import { Email, isOneProof, LinkToken, MailedCode, ONE_PROOF } from './identity.ts'
import { MailedApp } from './mailed-link.ts'

/** Id of a change of address. */
export const EmailChangeId = prefixedId('emc', 'EmailChangeId')
/** Id of a change of address. */
export type EmailChangeId = z.infer<typeof EmailChangeId>

/** What `changeEmail` takes: the new address. */
export const ChangeEmail = z.strictObject({ email: Email, app: MailedApp }).meta({ id: 'ChangeEmail' })
/** What `changeEmail` takes. */
export type ChangeEmail = z.output<typeof ChangeEmail>

/** What `changeEmail` answers, the same whether or not the new address has an account. */
export const EmailChange = z.object({ changeId: EmailChangeId, expiresAt: Moment }).meta({ id: 'EmailChange' })
/** What `changeEmail` answers. */
export type EmailChange = z.infer<typeof EmailChange>

/** What `confirmEmailChange` takes: the change and its mailed code, or the token of the mailed link alone. */
export const ConfirmEmailChange = z
  .strictObject({ changeId: EmailChangeId.optional(), code: MailedCode.optional(), token: LinkToken.optional() })
  .refine(({ changeId: id, code, token }) => isOneProof({ id, code, token }), ONE_PROOF)
  .meta({ id: 'ConfirmEmailChange' })
/** What `confirmEmailChange` takes. */
export type ConfirmEmailChange = z.output<typeof ConfirmEmailChange>

/** The operations on the address of an account. */
export const emailEndpoints = {
  changeEmail: endpoint({
    id: 'changeEmail',
    method: 'POST',
    path: '/v1/me/email',
    tag: 'identity',
    access: 'user',
    stepUp: true,
    summary: 'Ask for another address; a 6-digit code and a link go there. Your address stays the same until one of them is used.',
    body: ChangeEmail,
    success: 202,
    response: EmailChange,
    problems: [],
  }),
  confirmEmailChange: endpoint({
    id: 'confirmEmailChange',
    method: 'POST',
    path: '/v1/me/email/confirm',
    tag: 'identity',
    access: 'user',
    isSensitive: true,
    summary: 'Prove the new address with the mailed code or link. The old one is mailed a way back that works for 7 days.',
    body: ConfirmEmailChange,
    success: 204,
    response: z.undefined(),
    problems: ['code-invalid', 'conflict'],
  }),
}
