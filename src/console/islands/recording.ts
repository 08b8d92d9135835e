import { create } from 'asciinema-player'
import type { Recording, RecordingVerification } from '../../contract/recordings.ts'
import { ShellId } from '../../contract/shell.ts'
import { client, openAccount } from '../browser/account.ts'
import { bindButton } from '../browser/button.ts'
import { byId } from '../browser/dom.ts'
import { hostName, lengthOf, personOf, saveFile } from '../browser/record-words.ts'
import { tellLost } from '../browser/trouble.ts'

/** Pauses of a person are cut to this, in seconds. */
const PAUSE_MAX = 2

function tell(state: 'connecting' | 'open' | 'failed' | 'past', text: string): void {
  byId('recording-status').dataset['state'] = state
  byId('recording-status').textContent = text
}

/** Walks the whole recording, part by part. */
async function verify({ shellId }: Recording): Promise<RecordingVerification> {
  for (let cursor: string | undefined; ; ) {
    const found = await client.verifyRecording({ params: { shellId }, query: cursor === undefined ? {} : { cursor } })
    if (found.nextCursor === undefined) return found
    cursor = found.nextCursor
    tell('connecting', `Verifying… ${found.chunks} of ${found.isSigned ? 'its' : 'the'} chunks hold`)
  }
}

function tellVerified({ broken, isSigned }: RecordingVerification): void {
  if (broken) return tell('failed', `Broken at chunk ${broken.seq}: ${broken.reason.replaceAll('-', ' ')}`)
  tell(isSigned ? 'open' : 'connecting', isSigned ? 'Intact and signed' : 'Intact so far; not signed yet')
}

async function play({ shellId, columns, rows }: Recording): Promise<void> {
  const { path } = await client.createRecordingFile({ params: { shellId }, body: { purpose: 'view' } })
  const response = await fetch(path)
  if (!response.ok) throw new Error('the recording cannot be had')
  const startAt = Number(location.hash.slice(1)) / 1000 || 0
  const options = {
    cols: columns,
    rows,
    startAt,
    fit: 'both' as const,
    idleTimeLimit: PAUSE_MAX,

    theme: 'asciinema',
  }
  create({ data: await response.text() }, byId('player'), { ...options, preload: true, controls: true, poster: `npt:${startAt}` })
}

async function start(): Promise<void> {
  const me = await openAccount()
  const shellId = ShellId.parse(byId('recording').dataset['shellId'])
  const recording = await client.getRecording({ params: { shellId } })
  const name = await hostName(recording.hostId)
  byId('recording-name').textContent = name
  document.title = `${name}, recorded · Parvis`
  const { startedAt, durationMs, userId, endedAt, gaps } = recording
  const when = new Date(startedAt).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  const missing = gaps > 0 ? `, ${gaps} gap${gaps === 1 ? '' : 's'}` : ''
  byId('recording-facts').textContent = `${when} · ${lengthOf(durationMs)} · by ${personOf(userId, me.id)}${missing}`
  tell(endedAt === undefined ? 'connecting' : 'past', endedAt === undefined ? 'Goes on' : 'Recorded')
  const alert = byId('page-alert')
  bindButton(byId('verify', HTMLButtonElement), alert, async () => tellVerified(await verify(recording)))
  for (const [format, ending] of [
    ['asciicast', 'cast'],
    ['text', 'txt'],
  ] as const) {
    bindButton(byId(`save-${format}`, HTMLButtonElement), alert, async () => {
      const { path } = await client.createRecordingFile({ params: { shellId }, body: { format } })
      await saveFile(path, `${shellId}.${ending}`)
    })
  }
  for (const id of ['verify', 'save-asciicast', 'save-text']) byId(id, HTMLButtonElement).disabled = false
  await play(recording)
}

start().catch(tellLost)
