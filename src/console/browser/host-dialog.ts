import { Credential, type HostKey } from '../../contract/hosts.ts'
import type { Org } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { client } from './account.ts'
import { byId, filled, openDialog, show } from './dom.ts'
import { bindForm, type Entries } from './form.ts'
import { calm } from './trouble.ts'

const STEPS = ['scan', 'accept', 'create-host'] as const

/** Shows one step of the dialog and puts the focus on its first field. */
function showStep(step: (typeof STEPS)[number]): void {
  for (const name of STEPS) show(byId(name), name === step)
  byId(step).querySelector<HTMLElement>('input, button')?.focus()
}

function showKind(): void {
  const { value } = byId('create-host-kind', HTMLSelectElement)
  for (const part of byId('create-host').querySelectorAll<HTMLElement>('[data-kind]')) show(part, part.dataset['kind'] === value)
}

const credentialOf = ({ kind, password, privateKey, passphrase }: Entries): Credential =>
  Credential.parse(kind === 'password' ? { kind, password } : { kind, privateKey, ...(passphrase && { passphrase }) })

interface Offer {
  readonly key: HostKey
  readonly box: HTMLInputElement
}

/** Shows the keys of a host, none of them chosen: only a person can say which ones were compared. */
function offerKeys(keys: readonly HostKey[]): readonly Offer[] {
  const pieces = keys.map((key) => ({ key, piece: filled('key-row', { type: key.type, fingerprint: key.fingerprint }) }))
  byId('accept-keys').replaceChildren(...pieces.map(({ piece }) => piece.root))
  return pieces.map(({ key, piece }) => ({ key, box: piece.slot<HTMLInputElement>('box') }))
}

/** Three steps: ask a host for its keys, let a person compare them, then register it with its credential. */
export function openHost(org: Org, changed: () => Promise<void>): void {
  const params = { orgId: org.id }
  let target = { address: '', port: 22 }
  let offers: readonly Offer[] = []
  const accepted = () => offers.filter(({ box }) => box.checked).map(({ key: { type, key } }) => ({ type, key }))
  const forms = [
    bindForm('scan', async ({ address = '', port }) => {
      target = { address, port: Number(port) }
      offers = offerKeys((await client.scanHost({ params, body: target })).keys)
      byId('accept-target').textContent = address
      showStep('accept')
    }),
    bindForm('accept', async () => {
      if (accepted().length === 0) throw new Problem('invalid-request', { detail: 'Choose at least one key that you have compared.' })
      showStep('create-host')
    }),
    bindForm('create-host', async (entries) => {
      const { name = '', user = '' } = entries
      await client.createHost({ params, body: { ...target, name, user, keys: accepted(), credential: credentialOf(entries) } })
      dialog.close()
      await changed()
    }),
  ]
  byId('accept-back').onclick = () => showStep('scan')
  byId('create-host-kind').onchange = showKind
  const dialog = openDialog('host')
  // A secret that was typed must not outlive the dialog.
  dialog.onclose = () => {
    for (const form of forms) form.reset()
  }
  for (const name of STEPS) calm(byId(`${name}-alert`))
  showKind()
  showStep('scan')
}
