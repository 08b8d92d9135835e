import { create } from 'asciinema-player'
import { RECORDING_FROM_HEADER, type Recording, type RecordingVerification } from '../../contract/recordings.ts'
import { ShellId } from '../../contract/shell.ts'
import { client, openAccount } from '../browser/account.ts'
import { bindButton } from '../browser/button.ts'
import { byId } from '../browser/dom.ts'
import { hostName, lengthOf, personOf, saveFile } from '../browser/record-words.ts'
import { tellLost } from '../browser/trouble.ts'

/** Pauses of a person are cut to this, in seconds. */
const PAUSE_MAX = 2
/** What is painted at a moment is in the picture right after it, in seconds. */
const POSTER_AFTER = 0.001

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

/** What is loaded at once; of a longer recording the player gets a stretch, and moves on from there. */
const STRETCH_CHARS = 8 * 1024 * 1024

type Player = ReturnType<typeof create>
let player: Player | undefined

/** A stretch of the recording as a file of its own. */
interface Stretch {
  readonly cast: string
  /** Where it begins, and where it ends when the recording goes on behind it; milliseconds of the recording. */
  readonly fromMs: number
  readonly untilMs: number | undefined
}

async function loadStretch({ shellId }: Recording, fromMs: number): Promise<Stretch> {
  const { path } = await client.createRecordingFile({ params: { shellId }, body: { purpose: 'view', fromMs } })
  const response = await fetch(path)
  if (!response.ok || !response.body) throw new Error('the recording cannot be had')
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  let isAll = false
  while (!isAll && text.length < STRETCH_CHARS) {
    const { value, done } = await reader.read()
    text += value ?? ''
    isAll = done
  }
  if (!isAll) await reader.cancel()
  const beginsMs = Number(response.headers.get(RECORDING_FROM_HEADER) ?? 0)
  const cast = isAll ? text : text.slice(0, text.lastIndexOf('\n') + 1)
  return { cast, fromMs: beginsMs, untilMs: isAll ? undefined : beginsMs + lastMs(cast) }
}

function lastMs(cast: string): number {
  const [at] = JSON.parse(cast.trimEnd().split('\n').at(-1) ?? '[0]') as [number]
  return Math.round(at * 1000)
}

/** Short recordings are loaded whole and sought in by the player itself. */
async function play(recording: Recording, atMs: number, isPlaying = false): Promise<void> {
  const isLong = recording.bytes > STRETCH_CHARS / 4
  const { cast, fromMs, untilMs } = await loadStretch(recording, isLong ? atMs : 0)
  const startAt = Math.max(0, atMs - fromMs) / 1000
  const options = { startAt, fit: 'both' as const, idleTimeLimit: PAUSE_MAX, theme: 'asciinema', preload: true, controls: true }
  player?.dispose()
  player = create({ data: cast }, byId('player'), { ...options, autoPlay: isPlaying, poster: `npt:${startAt + POSTER_AFTER}` })
  if (untilMs !== undefined) player.addEventListener('ended', () => play(recording, untilMs, true).catch(tellLost))
  if (isLong) showSeek(recording, atMs)
}

/** A bar over all of the recording, where the player's own spans what is loaded. */
function showSeek({ durationMs }: Recording, atMs: number): void {
  const bar = byId('seek', HTMLInputElement)
  byId('seek-row').hidden = false
  bar.max = String(durationMs)
  bar.value = String(atMs)
  tellMoment()
}

function tellMoment(): void {
  const bar = byId('seek', HTMLInputElement)
  byId('seek-at').textContent = `${lengthOf(Number(bar.value))} of ${lengthOf(Number(bar.max))}`
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
  byId('seek').addEventListener('input', tellMoment)
  byId('seek').addEventListener('change', () => play(recording, Number(byId('seek', HTMLInputElement).value)).catch(tellLost))
  await play(recording, Number(location.hash.slice(1)) || 0)
}

start().catch(tellLost)
