import type { LoginAnswer } from '../../contract/identity.ts'
import type { AskMagicLink, MagicId, MagicLink, UseMagicLink } from '../../contract/magic.ts'
import { MAILED_PAGES } from '../../contract/mailed-link.ts'
import { Problem } from '../../contract/problem.ts'
import type { Place } from '../platform/limiter/place.ts'
import type { Scope } from '../platform/scope.ts'
import type { Device } from './device.ts'
import { shownDevice } from './known-device.ts'
import { checkProof, mailProof, type PublicProof } from './mailed-proof.ts'
import { claimProof } from './proof-store.ts'
import { signIn } from './sign-in.ts'
import { magicLinks } from './tables.ts'

const SIGN_IN: PublicProof = {
  table: magicLinks,
  purpose: 'sign-in-code',
  prefix: 'mgc',
  kind: 'sign-in',
  page: MAILED_PAGES['sign-in'],
  action: 'magic.ask',
  refusal: { action: 'session.refuse', cause: 'mail-code' },
}

/** Mails a code and a link to a known address. Work, answer and time are the same for any other. */
export async function askMagicLink(scope: Scope, wish: AskMagicLink): Promise<MagicLink> {
  const { id, expiresAt } = await mailProof<MagicId>(scope, SIGN_IN, wish)
  return { magicId: id, expiresAt }
}

/**
 * Signs in whoever reads the mail. The proof is spent before the session starts: of calls that race one wins, and a crash between
 * the two costs a new mail, never a second session.
 *
 * @throws Problem `code-invalid`
 */
export async function useMagicLink(
  scope: Scope,
  { magicId: id, code, token, mode, deviceName, trustToken, deviceToken }: UseMagicLink,
  { place, device }: { readonly place: Place; readonly device: Device },
): Promise<LoginAnswer> {
  const { given, user } = await checkProof(scope, SIGN_IN, { id, code, token })
  const won = await claimProof(scope.db, magicLinks, { given: { ...given, now: scope.now() }, claim: scope.newId('clm') })
  if (won.meta.changes === 0) throw new Problem('code-invalid')
  const answer = await signIn(scope, user, {
    methods: ['email'],
    mode,
    place,
    device,
    deviceName,
    trustToken,
    shown: await shownDevice(deviceToken),
  })
  if (!answer) throw new Problem('code-invalid')
  return answer
}
