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
import { tellTrouble } from './trouble.ts'

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

function drawRun({ slot }: Piece, run: Run): void {
  const { state, hosts, succeeded, failed } = run
  slot('state').textContent = state
  slot('state').dataset['tone'] = state === 'running' ? 'live' : failed > 0 || state !== 'done' ? 'bad' : 'past'
  slot('counts').textContent = failed > 0 ? `${succeeded} of ${hosts} good, ${failed} failed` : `${succeeded} of ${hosts} good`
}

/** What the hosts that are known to have changed say of their run. */
function countsOf(hosts: Iterable<RunHost>): Pick<Run, 'succeeded' | 'failed'> {
  const all = [...hosts]
  const isGood = ({ state, exitCode }: RunHost) => state === 'done' && exitCode === 0
  return { succeeded: all.filter(isGood).length, failed: all.filter((host) => endOf(host)[1] === 'bad').length }
}

interface RowContext {
  readonly org: Org
  readonly me: Me
  /** Aborted when the row is drawn no more. */
  readonly signal: AbortSignal
}

/** A run, its hosts when it is unfolded, and what becomes of them while it goes on. */
function runRow(begun: Run, { org, me, signal }: RowContext): HTMLElement {
  let run = begun
  const piece = filled('run-row', { command: run.command, by: personOf(run.userId, me.id) })
  const { root, slot } = piece
  const [alert, cancel] = [slot('alert'), slot<HTMLButtonElement>('cancel')]
  const params = { runId: run.id }
  const rows = new Map<string, HTMLElement>()
  const row = (host: RunHost) => {
    const drawn = hostRow(host)
    rows.set(host.hostId, drawn)
    return drawn
  }
  const reload = bindList(
    { list: slot('hosts'), more: slot('more'), alert },
    { load: (query) => client.listRunHosts({ params, query }), row },
  )
  const isMine = run.userId === me.id || org.role === 'owner'

  function draw(now: Run): void {
    run = now
    drawRun(piece, run)
    show(cancel, isMine && run.state === 'running')
  }

  /** From its first change on; a host that is not shown yet is drawn when it is. */
  async function follow(folded: AbortSignal): Promise<void> {
    const changed = new Map<string, RunHost>()
    for await (const { event, data } of await client.followRun({ params }, { signal: AbortSignal.any([signal, folded]) })) {
      if (event === 'run') return draw(data)
      changed.set(data.hostId, data)
      rows.get(data.hostId)?.replaceWith(row(data))
      draw({ ...run, ...countsOf(changed.values()) })
    }
  }

  let folding = new AbortController()
  root.querySelector('details')?.addEventListener('toggle', async ({ newState }) => {
    folding.abort()
    if (newState !== 'open') return
    folding = new AbortController()
    const { signal: folded } = folding
    await reload()
    if (run.endedAt !== undefined || folded.aborted) return
    await follow(folded).catch((error: unknown) => {
      if (!folded.aborted && !signal.aborted) tellTrouble(alert, error)
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
  let drawn = new AbortController()
  const reload = bindList(places, {
    load: (query) => client.listRuns({ params: { orgId: org.id }, query }),
    row: (run: Run) => runRow(run, { org, me, signal: drawn.signal }),
  })
  const unfoldNewest = () => places.list.querySelector('details')?.setAttribute('open', '')
  if (org.role !== 'reader')
    bindStart(org, hosts, async () => {
      // The rows that are followed now are drawn anew.
      drawn.abort()
      drawn = new AbortController()
      await reload()
      unfoldNewest()
    })
  void reload()
}
