import { type Host, HostId } from '../../contract/hosts.ts'
import type { Me } from '../../contract/identity.ts'
import type { Org } from '../../contract/orgs.ts'
import type { AccessRequest } from '../../contract/shell-policy.ts'
import { client } from './account.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { byId, filled, show, showMoment } from './dom.ts'
import { bindForm } from './form.ts'
import { bindList, placesOf } from './list.ts'
import { lengthOf, personOf } from './record-words.ts'
import { withStepUp } from './step-up.ts'

interface Context {
  readonly me: Me
  readonly hosts: readonly Host[]
}

const TONES: Readonly<Record<AccessRequest['state'], string>> = { pending: 'past', approved: 'live', denied: 'bad', ended: 'past' }

/** How long it is about: the whole while it waits, what is left once it is given. */
function lengthSaid({ state, seconds, expiresAt }: AccessRequest): string {
  if (state !== 'approved') return `for ${lengthOf(seconds * 1000)}`
  return `until ${new Date(expiresAt).toLocaleTimeString('en', { timeStyle: 'short' })}`
}

/** Who asks to reach which host, and what owners say to it. */
export function startRequests({ id: orgId, role }: Org, { me, hosts }: Context): void {
  const nameOf = (hostId: HostId) => hosts.find(({ id }) => id === hostId)?.name ?? hostId
  const places = placesOf('requests')

  function row(request: AccessRequest): HTMLElement {
    const { hostId, reason, state, userId, createdAt } = request
    const piece = filled('request-row', { host: nameOf(hostId), reason, state, by: personOf(userId, me.id), length: lengthSaid(request) })
    piece.slot('state').dataset['tone'] = TONES[state]
    showMoment(piece.slot('created'), createdAt)
    const [approve, deny, end] = ['approve', 'deny', 'end'].map((name) => piece.slot<HTMLButtonElement>(name))
    if (!approve || !deny || !end) return piece.root
    const params = { requestId: request.id }
    const isOwn = userId === me.id
    for (const button of [approve, deny]) show(button, role === 'owner' && !isOwn && state === 'pending')
    show(end, (state === 'pending' && isOwn) || (state === 'approved' && (isOwn || role === 'owner')))
    end.textContent = state === 'pending' ? 'Withdraw' : 'End'
    const decide = (isApproved: boolean) => async () => {
      await withStepUp(() => client.decideAccess({ params, body: { isApproved } }))
      await reload()
    }
    bindButton(approve, places.alert, decide(true))
    bindButton(deny, places.alert, decide(false))
    bindDangerButton(end, places.alert, async () => {
      await client.endAccess({ params })
      await reload()
    })
    return piece.root
  }

  const reload = bindList(places, { load: (query) => client.listAccessRequests({ params: { orgId }, query }), row })
  byId('ask-host').replaceChildren(...hosts.map(({ id, name }) => new Option(name, id)))
  const form = bindForm('ask', async ({ host, reason = '', seconds }) => {
    await client.requestAccess({ params: { hostId: HostId.parse(host) }, body: { reason, seconds: Number(seconds) } })
    form.reset()
    await reload()
  })
  show(form, role === 'operator' && hosts.length > 0)
  void reload()
}
