import { type FailMode, type Hook, type HookList, HookPoint } from '../../contract/hooks.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import type { Webhook } from '../../contract/webhooks.ts'
import { client } from './account.ts'
import { bindDangerButton } from './button.ts'
import { byId, filled, openDialog, show } from './dom.ts'
import { bindForm } from './form.ts'
import { choicesAt, isAsked, POINTS, standingOf, termsOf } from './hook-words.ts'
import { bindList, placesOf } from './list.ts'
import { calm } from './trouble.ts'

/** What a row needs to know of the rest. */
interface Known {
  readonly orgId: OrgId
  readonly webhooks: readonly Webhook[]
  readonly modules: HookList['modules']
  readonly changed: () => Promise<void>
}

const isSame = (a: Hook['target'], b: Hook['target'] | undefined): boolean =>
  a.kind === 'webhook' ? b?.kind === 'webhook' && a.webhookId === b.webhookId : b?.kind === 'module' && a.module === b.module

function fillTerms(hook: Hook | undefined, point: HookPoint): void {
  show(byId('point-hook-terms'), isAsked(point))
  const deadline = byId('point-hook-deadlineMs', HTMLInputElement)
  deadline.value = String(hook?.deadlineMs ?? deadline.defaultValue)
  byId('point-hook-failMode', HTMLSelectElement).value = hook?.failMode ?? 'closed'
}

function openPoint(point: HookPoint, hook: Hook | undefined, known: Known): void {
  const choices = choicesAt(point, known)
  const chosen = choices.findIndex(([, target]) => isSame(target, hook?.target))
  const options = choices.map(([label], at) => new Option(label, String(at), false, at === chosen))
  byId('point-hook-target').replaceChildren(...options)
  byId('point-title').textContent = point
  byId('point-when').textContent = POINTS[point]
  fillTerms(hook, point)
  calm(byId('point-hook-alert'))
  bindForm('point-hook', async ({ target: at, deadlineMs, failMode }) => {
    const [, target] = choices[Number(at ?? -1)] ?? []
    if (!target) throw new Problem('invalid-request', { detail: 'Add a webhook first: there is nobody to point at.' })
    const terms = isAsked(point) ? { deadlineMs: Number(deadlineMs), failMode: failMode as FailMode } : {}
    await client.putHook({ params: { orgId: known.orgId, point }, body: { target, ...terms } })
    dialog.close()
    await known.changed()
  })
  const dialog = openDialog('point')
}

function hookRow(point: HookPoint, hook: Hook | undefined, known: Known): HTMLElement {
  const { state, tone, target } = standingOf(hook, known.webhooks)
  const piece = filled('hook-row', { point, when: POINTS[point], state, target, terms: hook ? termsOf(hook) : '' })
  piece.slot('state').dataset['tone'] = tone
  const [change, remove] = [piece.slot<HTMLButtonElement>('change'), piece.slot<HTMLButtonElement>('remove')]
  for (const button of [change, remove]) button.setAttribute('aria-description', point)
  if (hook) change.textContent = 'Change'
  show(remove, hook !== undefined)
  change.onclick = () => openPoint(point, hook, known)
  bindDangerButton(remove, byId('hooks-alert'), async () => {
    await client.deleteHook({ params: { orgId: known.orgId, point } })
    await known.changed()
  })
  return piece.root
}

/** Every point, with whom is asked or told there. */
export function startHooks(orgId: OrgId, webhooks: () => readonly Webhook[]): () => Promise<void> {
  let list: HookList = { items: [], modules: [] }
  async function load(): Promise<{ items: HookPoint[] }> {
    list = await client.listHooks({ params: { orgId } })
    return { items: HookPoint.options }
  }
  const row = (point: HookPoint) =>
    hookRow(
      point,
      list.items.find((hook) => hook.point === point),
      { orgId, webhooks: webhooks(), modules: list.modules, changed: () => reload() },
    )
  const reload: () => Promise<void> = bindList(placesOf('hooks'), { load, row })
  return reload
}
