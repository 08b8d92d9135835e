import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, prefixedId } from './id.ts'
import { Email, isOneProof, LinkToken, MailedCode, NextPassword, ONE_PROOF, PASSWORD_CHARS_MAX } from './identity.ts'
import { MailedApp } from './mailed-link.ts'

/** Id of a request to reset a password; only the client that asked holds it. */
export const ResetId = prefixedId('rst', 'ResetId')
/** Id of a request to reset a password. */
export type ResetId = z.infer<typeof ResetId>

/** A password as it is now; whatever it may be. */
export const CurrentPassword = z.string().min(1).max(PASSWORD_CHARS_MAX)

/** What `changePassword` takes. */
export const ChangePassword = z
  .strictObject({
    currentPassword: CurrentPassword.optional().meta({ description: 'Left out where the account has none.' }),
    newPassword: NextPassword,
  })
  .meta({ id: 'ChangePassword' })
/** What `changePassword` takes. */
export type ChangePassword = z.output<typeof ChangePassword>

/** What `forgotPassword` takes. */
export const ForgotPassword = z.strictObject({ email: Email, app: MailedApp }).meta({ id: 'ForgotPassword' })
/** What `forgotPassword` takes. */
export type ForgotPassword = z.output<typeof ForgotPassword>

/** What `forgotPassword` answers, the same whether or not the address is known. */
export const PasswordReset = z.object({ resetId: ResetId, expiresAt: Moment }).meta({ id: 'PasswordReset' })
/** What `forgotPassword` answers. */
export type PasswordReset = z.infer<typeof PasswordReset>

/** What `resetPassword` takes: the new password with the request and its mailed code, or with the token of the mailed link alone. */
export const ResetPassword = z
  .strictObject({
    resetId: ResetId.optional(),
    code: MailedCode.optional(),
    token: LinkToken.optional(),
    newPassword: NextPassword,
    endApiKeys: z
      .boolean()
      .default(false)
      .meta({ description: 'Ends every API key too: whoever knew the old password may have made one.' }),
  })
  .refine(({ resetId: id, code, token }) => isOneProof({ id, code, token }), ONE_PROOF)
  .meta({ id: 'ResetPassword' })
/** What `resetPassword` takes. */
export type ResetPassword = z.output<typeof ResetPassword>

/** What opens the account besides the password once it is reset; who does not know it should look through it. */
export const KeptAccess = z
  .object({
    apiKeys: z.int().meta({ description: 'API keys that go on working.' }),
    passkeys: z.int(),
    hasTotp: z.boolean().meta({ description: 'Whether an authenticator app is set up.' }),
  })
  .meta({ id: 'KeptAccess' })
/** What opens the account besides the password once it is reset. */
export type KeptAccess = z.infer<typeof KeptAccess>

/** The operations on passwords. */
export const passwordEndpoints = {
  changePassword: endpoint({
    id: 'changePassword',
    method: 'POST',
    path: '/v1/auth/password/change',
    tag: 'identity',
    access: 'user',
    summary:
      'Change your password. With a second factor, or without a password, step up first. Your other devices are signed out, and a mail tells you.',
    body: ChangePassword,
    success: 204,
    response: z.undefined(),
    problems: ['credentials-invalid', 'step-up-required'],
  }),
  forgotPassword: endpoint({
    id: 'forgotPassword',
    method: 'POST',
    path: '/v1/auth/password/forgot',
    tag: 'identity',
    access: 'public',
    limit: 'mail',
    summary: 'Ask for a 6-digit code and a link to reset a password with. The answer never tells whether the address is known.',
    body: ForgotPassword,
    success: 202,
    response: PasswordReset,
    problems: [],
  }),
  resetPassword: endpoint({
    id: 'resetPassword',
    method: 'POST',
    path: '/v1/auth/password/reset',
    tag: 'identity',
    access: 'public',
    limit: 'code',
    summary:
      'Set a new password with the mailed code or link. Every device is signed out, this one stays so: sign in next. The answer and a mail name what else still opens the account.',
    body: ResetPassword,
    success: 200,
    response: KeptAccess,
    problems: ['code-invalid'],
  }),
}
