import { type AuditEntry, AuditFilter, type AuditVerification } from '../../contract/audit.ts'
import { client } from './account.ts'
import { actionSaid } from './activity-words.ts'
import { bindButton } from './button.ts'
import { byId, copyOf, show, showMoment } from './dom.ts'
import { bindForm, type Entries } from './form.ts'
import { bindList, placesOf } from './list.ts'
import { withStepUp } from './step-up.ts'

const ENTRIES = 30

/** The moment at which a day begins here, or the one after it. */
function startOf(day: string | undefined, after = 0): string | undefined {
  if (day === undefined) return undefined
  const at = new Date(`${day}T00:00`)
  at.setDate(at.getDate() + after)
  return at.toISOString()
}

/** What the form says, as the service takes it: the last day counts too. */
const filterOf = ({ action, actor, subject, from, to }: Entries): AuditFilter =>
  AuditFilter.parse({ action, actor, subject, from: startOf(from), to: startOf(to, 1) })

function tell({ status, seq, broken, pending, checkpointSeq }: AuditVerification): void {
  const verdict = byId('record-verdict')
  const held = checkpointSeq === null ? 'no signed checkpoint yet' : `held against the checkpoint at link ${checkpointSeq}`
  const where = broken && `link ${broken.seq}${broken.entryId === null ? '' : ` (entry ${broken.entryId})`}`
  verdict.textContent = broken
    ? `Broken at ${where}: ${broken.reason.replace('-', ' ')}. The ${seq} links before it hold.`
    : `Intact: ${seq} links, ${held}; ${pending} newest entries not sealed yet.`
  verdict.dataset['tone'] = status === 'intact' ? 'good' : 'bad'
  show(verdict, true)
}

/** Walks the whole chain, part by part, and stops at the first broken link. */
async function verify(): Promise<void> {
  let found = await client.verifyPlatformAudit()
  while (found.nextCursor !== undefined && !found.broken) {
    tell(found)
    found = await client.verifyPlatformAudit({ query: { cursor: found.nextCursor } })
  }
  tell(found)
}

/** The platform's record. The answer reloads it. */
export function startRecord(): () => Promise<void> {
  let filter: AuditFilter = {}
  const places = placesOf('record')

  function row(entry: AuditEntry): HTMLElement {
    const piece = copyOf('record-row')
    showMoment(piece.slot('at'), entry.at)
    piece.slot('action').textContent = actionSaid(entry.action, 'en')
    piece.slot('cause').textContent = entry.cause ?? ''
    piece.slot('seq').textContent = entry.seq === null ? '…' : String(entry.seq)
    for (const [name, text] of [
      ['actor', entry.actorId],
      ['subject', entry.subject],
    ] as const) {
      const cell = piece.slot(name)
      cell.textContent = text
      cell.title = `Only where ${name} is ${text}`
      cell.onclick = () => {
        byId(`filter-${name}`, HTMLInputElement).value = text
        form.requestSubmit()
      }
    }
    for (const [name, text] of [
      ['action', entry.action],
      ['cause', entry.cause ?? ''],
    ] as const)
      piece.slot(name).title = text
    return piece.root
  }

  const reload = bindList(places, { load: (query) => client.listPlatformAudit({ query: { ...filter, ...query, limit: ENTRIES } }), row })
  const form = bindForm('filter', async (entries) => {
    filter = filterOf(entries)
    await reload()
  })
  const take = (format: 'csv' | 'jsonl') =>
    withStepUp(async () => {
      const { path } = await client.createPlatformAuditExport({ body: { ...filter, format } })
      Object.assign(document.createElement('a'), { href: path, download: '' }).click()
    }).then(() => undefined)
  bindButton(byId('verify-record', HTMLButtonElement), places.alert, verify)
  bindButton(byId('export-csv', HTMLButtonElement), places.alert, () => take('csv'))
  bindButton(byId('export-jsonl', HTMLButtonElement), places.alert, () => take('jsonl'))
  return reload
}
