import { afterAll, beforeAll, expect, test } from 'vitest'
import { mailedLinkOf } from '../../src/client/client.ts'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { until } from '../until.ts'
import { accountsOf } from './account.ts'
import { factorsOf } from './authenticator.ts'
import { mailsOf } from './mailed.ts'
import { post, register } from './raw.ts'

/** An app of another origin, which is listed. */
const APP = 'https://app.example.net'
/** The one that the configuration names for ways back. */
const RESTORE_APP = 'https://other.example.net'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ vars: { CORS_ORIGINS: `${RESTORE_APP},${APP}`, RESTORE_APP } })
})
afterAll(() => edge.stop())

const { newest, useMagic, verify, register: ask, restore } = mailsOf(() => edge)
const { settle, signIn } = accountsOf(() => edge)
const { protect } = factorsOf(() => edge)
const bearer = ({ accessToken }: { readonly accessToken: string }) => ({ authorization: `Bearer ${accessToken}` })

test('mailed links lead to the app that was asked for, where its own client reads them', async () => {
  const email = 'in-an-app@example.net'
  const linkTo = async (to: string, count: number) => {
    const { text = '' } = await edge.mailbox.mailTo(to, count)
    return text.split('\n').find((line) => line.startsWith(`${APP}/`)) ?? ''
  }
  await ask(email, { app: APP })
  const first = mailedLinkOf(await linkTo(email, 1))
  expect(first?.kind).toBe('registration')
  expect((await verify({ token: first?.token, password: PASSWORD })).status).toBe(204)
  const device = await signIn(email)
  await post(edge, '/v1/auth/password/forgot', { email, app: APP })
  expect(mailedLinkOf(await linkTo(email, 2))?.kind).toBe('password-reset')
  await post(edge, '/v1/me/email', { email: 'in-an-app-too@example.net', app: APP }, bearer(device))
  expect(mailedLinkOf(await linkTo('in-an-app-too@example.net', 1))?.kind).toBe('email-change')
  await post(edge, '/v1/auth/magic', { email, app: APP })
  const magic = mailedLinkOf(await linkTo(email, 3))
  expect(magic?.kind).toBe('sign-in')
  expect((await useMagic({ token: magic?.token, deviceToken: device.deviceToken })).status).toBe(200)
  const { body: org } = await post(edge, '/v1/orgs', { name: 'Harbour' }, bearer(device))
  const { body: invitation } = await post(
    edge,
    `/v1/orgs/${org['id']}/invitations`,
    { email: 'invited-by-app@example.net', role: 'reader', app: APP },
    bearer(device),
  )
  expect(mailedLinkOf(await linkTo('invited-by-app@example.net', 1))?.kind).toBe('org-invitation')
  await post(edge, `/v1/orgs/${org['id']}/invitations/${invitation['id']}/resend`, {}, bearer(device))
  expect(mailedLinkOf(await linkTo('invited-by-app@example.net', 2))?.kind).toBe('org-invitation')
  await post(edge, '/v1/auth/magic', { email, app: ORIGIN })
  expect((await newest(email, 4)).link).toMatch(new RegExp(`^${ORIGIN}/login/mail#`))
})

test('links that give an account back lead where the configuration says, whatever app whoever acts has named', async () => {
  const { email } = await protect('way-back')
  const back = async (subject: RegExp) => {
    const mail = await until(async () => edge.mailbox.to(email).find((each) => subject.test(each.subject ?? '')))
    return mailedLinkOf((mail.text ?? '').split('\n').find((line) => line.startsWith(`${RESTORE_APP}/`)) ?? ORIGIN)
  }
  const link = await back(/sign-in method was added/)
  expect(link?.kind).toBe('account-restore')
  expect((await restore(link?.token ?? '')).status).toBe(204)
})

test.each([
  'https://evil.example',
  'https://app.example.net.evil.example',
  'https://app.example.net@evil.example',
  'https://app.example.net/',
  'https://app.example.net#',
  'https://app.example.net:8443',
  'http://app.example.net',
  'HTTPS://APP.EXAMPLE.NET',
  '//app.example.net',
  'javascript:alert(1)',
  'null',
  '*',
  '',
])('links lead to no app that is not listed, such as %j, and nobody is mailed', async (app) => {
  const { email, device, org } = await known
  await settle()
  const before = edge.mailbox.mails.length
  const answers = [
    await ask('elsewhere@example.net', { app }),
    await post(edge, '/v1/auth/password/forgot', { email, app }),
    await post(edge, '/v1/auth/magic', { email, app }),
    await post(edge, '/v1/me/email', { email: 'elsewhere@example.net', app }, bearer(device)),
    await post(edge, `/v1/orgs/${org}/invitations`, { email: 'elsewhere@example.net', role: 'reader', app }, bearer(device)),
  ]
  for (const answer of answers) expect(answer).toMatchObject({ slug: 'invalid-request', body: { errors: [{ pointer: '#/body/app' }] } })
  await settle()
  expect(edge.mailbox.mails.length).toBe(before)
})

const listed = async () => {
  const email = await register(edge, 'listed')
  const device = await signIn(email)
  return { email, device, org: String((await post(edge, '/v1/orgs', { name: 'Elsewhere' }, bearer(device))).body['id']) }
}
let known: ReturnType<typeof listed>
beforeAll(() => {
  known = listed()
})
