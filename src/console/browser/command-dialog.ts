import type { Host } from '../../contract/hosts.ts'
import type { ExecResult } from '../../contract/shell.ts'
import { client } from './account.ts'
import { byId, openDialog, show } from './dom.ts'
import { bindForm } from './form.ts'
import { withStepUp } from './step-up.ts'
import { calm } from './trouble.ts'

const durationOf = (ms: number) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`)

/** How a command ended, in one sentence. */
function verdictOf({ exitCode, signal, timedOut, killed, truncated, durationMs }: ExecResult): string {
  const end = timedOut
    ? `Stopped at its time limit; the host ${killed === 'confirmed' ? 'confirmed its end' : 'did not confirm its end'}`
    : signal
      ? `Ended by signal ${signal}`
      : `Exit status ${exitCode ?? 'unknown'}`
  return `${end} after ${durationOf(durationMs)}.${truncated ? ' The middle of the output was dropped.' : ''}`
}

function showResult(result: ExecResult): void {
  const verdict = byId('result-verdict')
  verdict.textContent = verdictOf(result)
  verdict.dataset['tone'] = result.exitCode === 0 && !result.timedOut ? 'good' : 'bad'
  byId('result-stdout').textContent = result.stdout || 'No output.'
  byId('result-stderr').textContent = result.stderr
  show(byId('result-errors'), result.stderr !== '')
  show(byId('result'), true)
}

/** Runs one command on a host and shows what it did. */
export function openCommand({ id: hostId, name }: Host): void {
  byId('command-host').textContent = name
  show(byId('result'), false)
  calm(byId('run-alert'))
  let isCurrent = true
  const form = bindForm('run', async ({ command = '', timeoutSeconds }) => {
    show(byId('result'), false)
    const body = { command, timeoutSeconds: Number(timeoutSeconds) }
    const result = await withStepUp(() => client.execCommand({ params: { hostId }, body }))
    if (result && isCurrent) showResult(result)
  })
  form.onkeydown = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
  }
  openDialog('command').onclose = () => {
    isCurrent = false
  }
  byId('run-command').focus()
}
