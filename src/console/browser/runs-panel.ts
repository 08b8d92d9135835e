import type { Host } from '../../contract/hosts.ts'
import type { Me } from '../../contract/identity.ts'
import type { Org } from '../../contract/orgs.ts'
import { RUN_HOSTS_MAX, type Run, type RunHost, type StartRun } from '../../contract/runs.ts'
import { client } from './account.ts'
import { bindButton } from './button.ts'
import { byId, filled, type Piece, show, showMoment } from './dom.ts'
import { bindForm } from './form.ts'
import { bindList, placesOf } from './list.ts'
import { lengthOf, personOf } from './record-words.ts'
import { withStepUp } from './step-up.ts'

/** How often a run that is looked at is asked how it stands. */
const LOOK_MS = 1_000

interface Context {
  readonly me: Me
  readonly hosts: readonly Host[]
}

type Target = readonly [label: string, on: StartRun['on']]

/** What may be chosen to run on: everything, what carries a tag, or one host; only SSH runs commands. */
function targetsOf(all: readonly Host[]): readonly Target[] {
  const hosts = all.filter(({ kind }) => kind === 'ssh')
  const tags = [...new Set(hosts.flatMap((host) => host.tags))].sort()
  const count = (some: number) => (some === 1 ? '1 host' : `${some} hosts`)
  const every: Target = [`every host (${hosts.length})`, { hostIds: hosts.map(({ id }) => id) }]
  return [
    ...(hosts.length > 1 && hosts.length <= RUN_HOSTS_MAX ? [every] : []),
    ...tags.map((tag): Target => [`tagged ${tag} (${count(hosts.filter((host) => host.tags.includes(tag)).length)})`, { tag }]),
    ...hosts.map(({ id, name }): Target => [name, { hostIds: [id] }]),
  ]
}

function endOf({ state, exitCode, signal, problem }: RunHost): readonly [text: string, tone: string] {
  if (state === 'done') return signal ? [signal, 'bad'] : [`exit ${exitCode ?? '?'}`, exitCode === 0 ? 'past' : 'bad']
  if (state === 'running') return ['running', 'live']
  if (state === 'waiting' || state === 'skipped') return [state, 'past']
  return [problem ?? state, 'bad']
}

function hostRow(host: RunHost): HTMLElement {
  const [end, tone] = endOf(host)
  const { name, stdout, stderr, durationMs, shellId, truncated } = host
  const length = durationMs === null ? '' : durationMs < 1_000 ? `${durationMs} ms` : lengthOf(durationMs)
  const piece = filled('run-host-row', { name, end, stdout, stderr, length: truncated ? `${length}, the middle was dropped` : length })
  piece.slot('end').dataset['tone'] = tone
  show(piece.slot('stdout'), stdout !== '')
  show(piece.slot('stderr'), stderr !== '')
  const recording = piece.slot<HTMLAnchorElement>('recording')
  show(recording, shellId !== null)
  if (shellId !== null) recording.href = `/app/recordings/${shellId}`
  return piece.root
}

const standingOf = ({ state, succeeded, failed, endedAt }: Run) => `${state} ${succeeded} ${failed} ${endedAt}`

function drawRun({ slot }: Piece, run: Run): void {
  const { state, hosts, succeeded, failed } = run
  slot('state').textContent = state
  slot('state').dataset['tone'] = state === 'running' ? 'live' : failed > 0 || state !== 'done' ? 'bad' : 'past'
  slot('counts').textContent = failed > 0 ? `${succeeded} of ${hosts} good, ${failed} failed` : `${succeeded} of ${hosts} good`
}

/** A run, its hosts when it is unfolded, and what becomes of them while it goes on. */
function runRow(begun: Run, org: Org, me: Me): HTMLElement {
  let run = begun
  const piece = filled('run-row', { command: run.command, by: personOf(run.userId, me.id) })
  const { root, slot } = piece
  const [alert, cancel] = [slot('alert'), slot<HTMLButtonElement>('cancel')]
  const params = { runId: run.id }
  const reload = bindList(
    { list: slot('hosts'), more: slot('more'), alert },
    { load: (query) => client.listRunHosts({ params, query }), row: hostRow },
  )
  const isMine = run.userId === me.id || org.role === 'owner'

  function draw(now: Run): void {
    run = now
    drawRun(piece, run)
    show(cancel, isMine && run.state === 'running')
  }

  /** A run that was stopped goes on where it had begun, and is over when it says so. */
  async function look(): Promise<void> {
    while (run.endedAt === undefined && root.isConnected && root.querySelector('details')?.open) {
      const before = standingOf(run)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      // What cannot be had now is asked for again.
      const now = await client.getRun({ params }).catch(() => run)
      if (standingOf(now) === before) continue
      draw(now)
      await reload()
    }
  }

  let isLooking = false
  root.querySelector('details')?.addEventListener('toggle', async ({ newState }) => {
    if (newState !== 'open') return
    await reload()
    if (isLooking) return
    isLooking = true
    await look().finally(() => {
      isLooking = false
    })
  })
  bindButton(cancel, alert, async () => draw(await client.cancelRun({ params })))
  draw(run)
  showMoment(slot('created'), run.createdAt)
  return root
}

function bindStart({ id: orgId }: Org, hosts: readonly Host[], started: () => Promise<void>): void {
  const targets = targetsOf(hosts)
  byId('start-run-on').replaceChildren(...targets.map(([label], i) => new Option(label, String(i))))
  const form = bindForm('start-run', async ({ on, command = '', parallel, timeoutSeconds }) => {
    const target = targets[Number(on)]
    if (!target) return
    const stopOnFailure = byId('start-run-stop', HTMLInputElement).checked
    const body = { on: target[1], command, parallel: Number(parallel), timeoutSeconds: Number(timeoutSeconds), stopOnFailure }
    const run = await withStepUp(() => client.startRun({ params: { orgId }, body }))
    if (run) await started()
  })
  show(form, targets.length > 0)
}

/** What was run on many hosts, and the form that runs something. */
export function startRuns(org: Org, { me, hosts }: Context): void {
  const places = placesOf('runs')
  const reload = bindList(places, {
    load: (query) => client.listRuns({ params: { orgId: org.id }, query }),
    row: (run: Run) => runRow(run, org, me),
  })
  const unfoldNewest = () => places.list.querySelector('details')?.setAttribute('open', '')
  if (org.role !== 'reader')
    bindStart(org, hosts, async () => {
      await reload()
      unfoldNewest()
    })
  void reload()
}
