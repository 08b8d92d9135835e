import { Credential, HostId, type HostKey } from '../../contract/hosts.ts'
import type { Org } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { client } from './account.ts'
import { bindButton } from './button.ts'
import { byId, filled, openDialog, show } from './dom.ts'
import { bindForm, type Entries } from './form.ts'
import { hostsOf } from './hosts.ts'
import { calm, tellTrouble } from './trouble.ts'

const STEPS = ['scan', 'accept', 'create-host', 'create-telnet'] as const
type Step = (typeof STEPS)[number]

/** Steps in which another kind of host can still be chosen. */
const FIRST: readonly Step[] = ['scan', 'create-telnet']

function showStep(step: Step): void {
  for (const name of STEPS) show(byId(name), name === step)
  show(byId('host-kind-part'), FIRST.includes(step))
}

/** Shows one step of the dialog and puts the focus on its first field. */
function enterStep(step: Step): void {
  showStep(step)
  byId(step).querySelector<HTMLElement>('input, button')?.focus()
}

function showKind(): void {
  const { value } = byId('create-host-kind', HTMLSelectElement)
  for (const part of byId('create-host').querySelectorAll<HTMLElement>('[data-kind]')) show(part, part.dataset['kind'] === value)
}

function credentialOf({ kind, password, privateKey, passphrase }: Entries): Credential {
  if (kind === 'password') return Credential.parse({ kind, password })
  return Credential.parse(kind === 'private-key' ? { kind, privateKey, ...(passphrase && { passphrase }) } : { kind })
}

/** The lines by which hosts trust the organisation's authority, or the way to make the first. */
async function showAuthority(params: { readonly orgId: Org['id'] }): Promise<void> {
  const { keys } = await client.getSshCa({ params })
  byId('authority-keys').textContent = keys.map(({ publicKey }) => publicKey).join('\n')
  show(byId('authority-keys'), keys.length > 0)
  show(byId('authority-make'), keys.length === 0)
}

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

/** A host without SSH has nothing to compare and no credential: one step, which says what that means. */
function bindTelnet({ id: orgId }: Org, done: () => Promise<void>): HTMLFormElement {
  return bindForm('create-telnet', async ({ name = '', address = '', port, jumpHostId }) => {
    if (!byId('create-telnet-accept', HTMLInputElement).checked)
      throw new Problem('invalid-request', { detail: 'Say that you accept it: what is typed there can be read on the way.' })
    const way = jumpHostId === undefined ? {} : { jumpHostId: HostId.parse(jumpHostId) }
    const body = { kind: 'telnet', name, address, port: Number(port), isUnencryptedAccepted: true, ...way } as const
    await client.createHost({ params: { orgId }, body })
    await done()
  })
}

/** The ways to a host without SSH: directly, or through a host that has it. */
async function offerWays({ id }: Org): Promise<void> {
  try {
    const ways = (await hostsOf(id)).filter(({ kind }) => kind === 'ssh').map((host) => new Option(`through ${host.name}`, host.id))
    byId('create-telnet-jumpHostId').replaceChildren(new Option('directly', ''), ...ways)
  } catch (error) {
    tellTrouble(byId('create-telnet-alert'), error)
  }
}

/** Asks for the kind; over SSH three steps: ask a host for its keys, let a person compare them, then register it with its credential. */
export function openHost(org: Org, changed: () => Promise<void>): void {
  const params = { orgId: org.id }
  let target = { address: '', port: 22 }
  let offers: readonly Offer[] = []
  async function done(): Promise<void> {
    dialog.close()
    await changed()
  }
  const accepted = () => offers.filter(({ box }) => box.checked).map(({ key: { type, key } }) => ({ type, key }))
  const forms = [
    bindForm('scan', async ({ address = '', port }) => {
      target = { address, port: Number(port) }
      offers = offerKeys((await client.scanHost({ params, body: target })).keys)
      byId('accept-target').textContent = address
      enterStep('accept')
    }),
    bindForm('accept', async () => {
      if (accepted().length === 0) throw new Problem('invalid-request', { detail: 'Choose at least one key that you have compared.' })
      enterStep('create-host')
    }),
    bindForm('create-host', async (entries) => {
      const { name = '', user = '' } = entries
      await client.createHost({ params, body: { ...target, name, user, keys: accepted(), credential: credentialOf(entries) } })
      await done()
    }),
    bindTelnet(org, () => done()),
  ]
  byId('accept-back').onclick = () => enterStep('scan')
  const authority = async () => {
    if (byId('create-host-kind', HTMLSelectElement).value === 'certificate') await showAuthority(params)
  }
  byId('create-host-kind').onchange = () => {
    showKind()
    authority().catch((error: unknown) => tellTrouble(byId('create-host-alert'), error))
  }
  bindButton(byId('authority-make', HTMLButtonElement), byId('create-host-alert'), async () => {
    await client.createSshCaKey({ params })
    await showAuthority(params)
  })
  const kind = byId('host-kind', HTMLSelectElement)
  kind.value = 'ssh'
  kind.onchange = () => {
    showStep(kind.value === 'telnet' ? 'create-telnet' : 'scan')
    if (kind.value === 'telnet') void offerWays(org)
  }
  const dialog = openDialog('host')
  // A secret that was typed must not outlive the dialog.
  dialog.onclose = () => {
    for (const form of forms) form.reset()
  }
  for (const name of STEPS) calm(byId(`${name}-alert`))
  showKind()
  enterStep('scan')
}
