import type { OrgId } from '../../contract/orgs.ts'
import type { NewWebhook, Webhook } from '../../contract/webhooks.ts'
import { client } from './account.ts'
import { bindButton, bindDangerButton } from './button.ts'
import { byId, copyText, filled, openDialog } from './dom.ts'
import { bindForm } from './form.ts'
import { bindList, placesOf } from './list.ts'

/** Shows a secret, this once; it goes from the page when the dialog closes. */
function showSecret({ secret }: NewWebhook): void {
  const shown = byId('secret-text')
  shown.textContent = secret
  const copy = byId('secret-copy', HTMLButtonElement)
  copy.onclick = () => copyText(copy, secret)
  openDialog('secret').onclose = () => shown.replaceChildren()
}

const STOPPED = { request: 'stopped', failures: 'stopped after failures', gone: 'stopped: gone' } as const

function stateOf({ disabledAt, disabledFor, failingSince, succeededAt }: Webhook): readonly [text: string, tone: string] {
  if (disabledAt !== null) return [STOPPED[disabledFor ?? 'request'], 'bad']
  if (failingSince !== null) return ['failing', 'bad']
  return [succeededAt === null ? 'nothing sent yet' : 'works', succeededAt === null ? 'past' : 'live']
}

function webhookRow(webhook: Webhook, changed: () => Promise<void>): HTMLElement {
  const { id, url, kinds, disabledAt } = webhook
  const params = { webhookId: id }
  const [state, tone] = stateOf(webhook)
  const piece = filled('webhook-row', { url, state, kinds: kinds.length === 0 ? 'hooks alone' : `hooks and ${kinds.join(', ')}` })
  piece.slot('state').dataset['tone'] = tone
  const [stop, rotate, remove] = ['stop', 'rotate', 'remove'].map((name) => piece.slot<HTMLButtonElement>(name))
  if (!stop || !rotate || !remove) return piece.root
  for (const button of [stop, rotate, remove]) button.setAttribute('aria-description', url)
  const alert = byId('webhooks-alert')
  stop.textContent = disabledAt === null ? 'Stop' : 'Start'
  bindButton(stop, alert, async () => {
    await client.updateWebhook({ params, body: { enabled: disabledAt !== null } })
    await changed()
  })
  bindDangerButton(rotate, alert, async () => {
    showSecret(await client.rotateWebhookSecret({ params }))
    await changed()
  })
  bindDangerButton(remove, alert, async () => {
    await client.deleteWebhook({ params })
    await changed()
  })
  return piece.root
}

/** The webhooks of an organisation; every one of them, for hooks point at any. */
export function startWebhooks(orgId: OrgId, changedElsewhere: () => Promise<void>): { reload(): Promise<void>; all(): readonly Webhook[] } {
  let webhooks: Webhook[] = []
  async function load(): Promise<{ items: readonly Webhook[] }> {
    const all: Webhook[] = []
    let cursor: string | undefined
    do {
      const page = await client.listWebhooks({ query: { orgId, limit: 100, ...(cursor === undefined ? {} : { cursor }) } })
      all.push(...page.items)
      cursor = page.nextCursor
    } while (cursor !== undefined)
    webhooks = all
    return { items: all }
  }
  async function changed(): Promise<void> {
    await reload()
    await changedElsewhere()
  }
  const reload: () => Promise<void> = bindList(placesOf('webhooks'), { load, row: (webhook: Webhook) => webhookRow(webhook, changed) })
  const form = bindForm('create-webhook', async ({ url = '' }) => {
    const made = await client.createWebhook({ body: { url, kinds: [], orgId } })
    form.reset()
    showSecret(made)
    await changed()
  })
  return { reload, all: () => webhooks }
}
