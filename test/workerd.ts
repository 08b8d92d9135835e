import { execFileSync } from 'node:child_process'
import type { Edge } from './harness.ts'
import { until } from './until.ts'

/** The processes that run the Worker: the last started is the user Worker, the first the proxy in front of it. */
export function workerdPids(): number[] {
  const list = execFileSync('ps', ['-o', 'pid=,ppid=,args=', '-e'], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  return list.filter(([, ppid, command]) => Number(ppid) === process.pid && command?.includes('workerd')).map(([pid]) => Number(pid))
}

/** Kills the runtime under the Worker and waits until it answers again, with its data. */
export async function killRuntime(edge: Edge): Promise<void> {
  process.kill(workerdPids().at(-1)!, 'SIGKILL')
  await until(async () => (await edge.request('/health/live').catch(() => undefined))?.ok)
}
