import type { Factors } from '../../contract/factors.ts'
import { client } from './account.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { byId, copyText, openDialog, show } from './dom.ts'
import { bindForm } from './form.ts'
import { drawQr } from './qr.ts'
import { withStepUp } from './step-up.ts'
import { said } from './words.ts'

/** Shows a set of recovery codes, this once; they go from the page when the dialog closes. */
export function showRecoveryCodes(codes: readonly string[]): void {
  if (codes.length === 0) return
  const shown = byId('recovery-codes')
  const text = codes.join('\n')
  shown.textContent = text
  const copy = byId('recovery-copy', HTMLButtonElement)
  copy.onclick = () => copyText(copy, text)
  openDialog('recovery').onclose = () => shown.replaceChildren()
}

function openEnrolment({ secret, uri }: { readonly secret: string; readonly uri: string }, changed: () => Promise<void>): void {
  const picture = document.querySelector<SVGElement>('#totp-picture')
  if (picture) drawQr(picture, uri)
  byId('totp-secret').textContent = secret.replace(/(.{4})(?=.)/g, '$1 ')
  const dialog = openDialog('totp')
  dialog.onclose = () => {
    picture?.replaceChildren()
    byId('totp-secret').replaceChildren()
  }
  bindForm('confirm-totp', async ({ code = '' }) => {
    const { recoveryCodes } = await client.confirmTotp({ body: { code } })
    dialog.close()
    await changed()
    showRecoveryCodes(recoveryCodes)
  }).reset()
}

function draw({ hasTotp, methods, recoveryCodesLeft, hasPassword, passkeys }: Factors): void {
  const hasSecond = methods.length > 0
  byId('totp-state').textContent = hasTotp ? said().on : said().off
  byId('totp-state').toggleAttribute('data-tone', false)
  if (hasTotp) byId('totp-state').dataset['tone'] = 'live'
  byId('recovery-state').textContent = hasSecond ? `${recoveryCodesLeft} ${said().left}` : said().none
  show(byId('totp-start'), !hasTotp)
  show(byId('totp-remove'), hasTotp)
  show(byId('recovery-make'), hasSecond)
  show(byId('password-current-part'), hasPassword)
  show(byId('remove-password'), hasPassword && passkeys > 0)
}

/** Authenticator app, recovery codes and password. The answer draws them anew. */
export function startFactors(changedElsewhere: () => Promise<void>): () => Promise<void> {
  const alert = byId('factors-alert')
  const reload = async () => draw(await client.getFactors())
  const changed = async () => {
    await reload()
    await changedElsewhere()
  }
  bindButton(byId('totp-start', HTMLButtonElement), alert, () => withStepUp(async () => openEnrolment(await client.startTotp(), changed)))
  bindDangerButton(byId('totp-remove', HTMLButtonElement), alert, () =>
    withStepUp(async () => {
      await client.removeTotp()
      await changed()
    }),
  )
  bindButton(byId('recovery-make', HTMLButtonElement), alert, () =>
    withStepUp(async () => {
      showRecoveryCodes((await client.makeRecoveryCodes()).codes)
      await reload()
    }),
  )
  bindDangerButton(byId('remove-password', HTMLButtonElement), byId('password-alert'), () =>
    withStepUp(async () => {
      await client.removePassword()
      await changed()
    }),
  )
  const form = bindForm('password', ({ currentPassword, newPassword = '' }) =>
    withStepUp(async () => {
      show(byId('password-note'), false)
      await client.changePassword({ body: { currentPassword, newPassword } })
      form.reset()
      show(byId('password-note'), true)
      await changed()
    }),
  )
  return reload
}
