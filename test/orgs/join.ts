import type { OrgRole } from '../../src/contract/orgs.ts'
import type { Edge, TestUser } from '../harness.ts'
import { type Answer, post } from '../identity/raw.ts'
import { until } from '../until.ts'

/** The one way into an organisation: an invitation by mail, accepted by whoever owns the address. */
async function comeIn(edge: Edge, email: string, by: { invite: () => Promise<unknown>; accept: (token: string) => Promise<unknown> }) {
  const invitations = () => edge.mailbox.to(email).filter((mail) => /invited/.test(mail.subject ?? ''))
  const before = invitations().length
  await by.invite()
  const mail = await until(async () => invitations()[before])
  await by.accept(/#([\w-]{43})/.exec(mail.text ?? '')?.[1] ?? '')
}

/** Brings a user into an organisation of somebody. */
export const join = (edge: Edge, owner: TestUser, to: { readonly orgId: string; readonly user: TestUser; readonly role: OrgRole }) =>
  comeIn(edge, to.user.email, {
    invite: () => owner.client.inviteOrgMember({ params: { orgId: to.orgId }, body: { email: to.user.email, role: to.role } }),
    accept: (token) => to.user.client.acceptInvitation({ body: { token } }),
  })

/** Somebody with a bare access token. */
interface Bearer {
  readonly email: string
  readonly accessToken: string
}

/** As {@link join}, for those without the typed client. */
export function joinRaw(edge: Edge, owner: Bearer, to: { readonly orgId: unknown; readonly user: Bearer; readonly role: string }) {
  const send = async (by: Bearer, path: string, body: unknown): Promise<Answer> => {
    const answer = await post(edge, path, body, { authorization: `Bearer ${by.accessToken}` })
    if (answer.status >= 400) throw new Error(`${path} answered ${answer.status} ${answer.slug}`)
    return answer
  }
  const { email } = to.user
  return comeIn(edge, email, {
    invite: () => send(owner, `/v1/orgs/${to.orgId}/invitations`, { email, role: to.role }),
    accept: (token) => send(to.user, '/v1/invitations/accept', { token }),
  })
}
