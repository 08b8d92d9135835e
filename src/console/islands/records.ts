import type { CommandRecord } from '../../contract/commands.ts'
import type { Me } from '../../contract/identity.ts'
import { type Org, OrgId } from '../../contract/orgs.ts'
import type { Recording, RecordingMatch } from '../../contract/recordings.ts'
import type { Shell } from '../../contract/shell.ts'
import { client, openAccount } from '../browser/account.ts'
import { bindButton } from '../browser/button.ts'
import { byId, filled, type Piece, showMoment } from '../browser/dom.ts'
import { bindForm } from '../browser/form.ts'
import { bindList, placesOf } from '../browser/list.ts'
import { hostName, lengthOf, personOf, saveFile } from '../browser/record-words.ts'
import { tellLost } from '../browser/trouble.ts'

function nameLater(piece: Piece, slot: string, hostId: Recording['hostId']): void {
  void hostName(hostId).then((name) => {
    piece.slot(slot).textContent = name
  })
}

function recordingRow(recording: Recording, me: Me): HTMLElement {
  const { shellId, hostId, kind, userId, durationMs, endedAt, startedAt, gaps } = recording
  const length = endedAt === undefined ? 'goes on' : lengthOf(durationMs)
  const piece = filled('recording-row', {
    name: hostId,
    kind: kind === 'pty' ? 'terminal' : 'command',
    by: personOf(userId, me.id),
    length,
  })
  piece.slot<HTMLAnchorElement>('name').href = `/app/recordings/${shellId}`
  if (endedAt === undefined) piece.slot('kind').dataset['tone'] = 'live'
  if (gaps > 0) Object.assign(piece.slot('kind').dataset, { tone: 'bad' })
  showMoment(piece.slot('started'), startedAt)
  nameLater(piece, 'name', hostId)
  return piece.root
}

function matchRow({ shellId, hostId, atMs, line }: RecordingMatch): HTMLElement {
  const piece = filled('match-row', { line, host: hostId, at: `at ${lengthOf(atMs)}` })
  piece.slot<HTMLAnchorElement>('line').href = `/app/recordings/${shellId}#${atMs}`
  nameLater(piece, 'host', hostId)
  return piece.root
}

function endOf({ kind, state, exitCode, signal }: CommandRecord): readonly [text: string, tone: string] {
  if (kind === 'pty') return ['terminal', 'past']
  if (state === 'running') return ['running', 'live']
  if (signal) return [signal, 'bad']
  return exitCode === 0 ? ['exit 0', 'past'] : [exitCode === null ? state : `exit ${exitCode}`, 'bad']
}

function commandRow(record: CommandRecord, me: Me): HTMLElement {
  const { command, userId, hostId, shellId, recordingMs, startedAt } = record
  const [end, tone] = endOf(record)
  const piece = filled('command-row', { command, end, by: personOf(userId, me.id), host: hostId })
  piece.slot('end').dataset['tone'] = tone
  piece.slot<HTMLAnchorElement>('command').href = `/app/recordings/${shellId}${recordingMs ? `#${recordingMs}` : ''}`
  showMoment(piece.slot('started'), startedAt)
  nameLater(piece, 'host', hostId)
  return piece.root
}

/** The shells that are open now, to be watched; coming back to the page shows how they stand. */
function startLive({ id: orgId }: Org, me: Me): void {
  const reload = bindList(placesOf('live'), {
    load: (query) => client.listOrgShells({ params: { orgId }, query: { ...query, live: true } }),
    row(shell: Shell) {
      const { id, hostId, state, userId, createdAt } = shell
      const piece = filled('live-row', { name: hostId, state, by: personOf(userId, me.id) })
      piece.slot<HTMLAnchorElement>('name').href = `/app/shells/${id}`
      piece.slot('state').dataset['tone'] = 'live'
      showMoment(piece.slot('started'), createdAt)
      nameLater(piece, 'name', hostId)
      return piece.root
    },
  })
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void reload())
  void reload()
}

/** The recordings, or the lines in them that hold a text. */
function startRecordings({ id: orgId }: Org, me: Me): void {
  let text = ''
  const reload = bindList<Recording | RecordingMatch>(placesOf('recordings'), {
    load: (query) =>
      text === ''
        ? client.listRecordings({ params: { orgId }, query })
        : client.searchRecordings({ params: { orgId }, query: { ...query, text } }),
    row: (item) => ('line' in item ? matchRow(item) : recordingRow(item, me)),
  })
  bindForm('search', async (entries) => {
    text = entries['text'] ?? ''
    await reload()
  })
  void reload()
}

function startCommands({ id: orgId }: Org, me: Me): void {
  let filter: { text?: string; kind?: 'exec' | 'pty' } = {}
  const reload = bindList(placesOf('commands'), {
    load: (query) => client.listCommands({ params: { orgId }, query: { ...query, ...filter } }),
    row: (record: CommandRecord) => commandRow(record, me),
  })
  bindForm('filter', async ({ text, kind }) => {
    filter = { ...(text === undefined ? {} : { text }), ...(kind === 'exec' || kind === 'pty' ? { kind } : {}) }
    await reload()
  })
  for (const format of ['csv', 'jsonl'] as const) {
    bindButton(byId(`export-${format}`, HTMLButtonElement), byId('commands-alert'), async () => {
      const { path } = await client.createCommandExport({ params: { orgId }, body: { ...filter, format } })
      await saveFile(path, `commands.${format}`)
    })
  }
  void reload()
}

async function start(): Promise<void> {
  const me = await openAccount()
  const org = await client.getOrg({ params: { orgId: OrgId.parse(byId('records').dataset['orgId']) } })
  byId('records-name').textContent = `Records of ${org.name}`
  document.title = `Records of ${org.name} · Parvis`
  const { isOpen, retentionDays, isStrict } = await client.getOversight({ params: { orgId: org.id } })
  const whose = org.role === 'owner' || isOpen ? 'Every terminal and command is recorded and signed' : 'You see what you did yourself'
  const strict = isStrict ? ' What cannot be recorded is ended.' : ''
  byId('records-note').textContent = `${whose}; recordings are kept for ${retentionDays} days.${strict}`
  startLive(org, me)
  startRecordings(org, me)
  startCommands(org, me)
}

start().catch(tellLost)
