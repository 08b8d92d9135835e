import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, prefixedId } from './id.ts'
import {
  DeviceName,
  DeviceToken,
  Email,
  isOneProof,
  LinkToken,
  LoginAnswer,
  MailedCode,
  ONE_PROOF,
  TokenMode,
  TrustToken,
} from './identity.ts'
import { MailedApp } from './mailed-link.ts'

/** Id of a request to sign in by mail; only the client that asked holds it. */
export const MagicId = prefixedId('mgc', 'MagicId')
/** Id of a request to sign in by mail. */
export type MagicId = z.infer<typeof MagicId>

/** What `askMagicLink` takes. */
export const AskMagicLink = z.strictObject({ email: Email, app: MailedApp }).meta({ id: 'AskMagicLink' })
/** What `askMagicLink` takes. */
export type AskMagicLink = z.output<typeof AskMagicLink>

/** What `askMagicLink` answers, the same whether or not the address is known. */
export const MagicLink = z.object({ magicId: MagicId, expiresAt: Moment }).meta({ id: 'MagicLink' })
/** What `askMagicLink` answers. */
export type MagicLink = z.infer<typeof MagicLink>

/** What `useMagicLink` takes: the request and its mailed code, or the token of the mailed link alone. */
export const UseMagicLink = z
  .strictObject({
    magicId: MagicId.optional(),
    code: MailedCode.optional(),
    token: LinkToken.optional(),
    mode: TokenMode.default('bearer'),
    deviceName: DeviceName.optional(),
    trustToken: TrustToken.optional(),
    deviceToken: DeviceToken.optional(),
  })
  .refine(({ magicId: id, code, token }) => isOneProof({ id, code, token }), ONE_PROOF)
  .meta({ id: 'UseMagicLink' })
/** What `useMagicLink` takes. */
export type UseMagicLink = z.output<typeof UseMagicLink>

/** The operations of signing in by mail. */
export const magicEndpoints = {
  askMagicLink: endpoint({
    id: 'askMagicLink',
    method: 'POST',
    path: '/v1/auth/magic',
    tag: 'identity',
    access: 'public',
    limit: 'mail',
    summary: 'Ask for a 6-digit code and a link to sign in with. The answer never tells whether the address is known.',
    body: AskMagicLink,
    success: 202,
    response: MagicLink,
    problems: [],
  }),
  useMagicLink: endpoint({
    id: 'useMagicLink',
    method: 'POST',
    path: '/v1/auth/magic/verify',
    tag: 'identity',
    access: 'public',
    limit: 'code',
    summary: 'Sign in on a device with the mailed code or link, or learn which second factor is needed first.',
    body: UseMagicLink,
    success: 200,
    response: LoginAnswer,
    problems: ['code-invalid', 'origin-untrusted'],
  }),
}
