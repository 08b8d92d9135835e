import { setTimeout } from 'node:timers/promises'
import { GUEST, HOME, PASSWORD, type Stack } from './stack.ts'
import { said } from './table.ts'

const LOGINS_QUEUED = 50
const CROWD_SECONDS = 6
const P99_MS_MAX = 250
const loginOnce = (parvis: string, deviceToken: string) =>
  fetch(`${parvis}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...HOME },
    body: JSON.stringify({ email: GUEST, password: PASSWORD, deviceToken }),
  })

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b)

/** Keeps sign-ins queued and asks meanwhile, once after the other, for what needs no hash. */
export async function crowd({ url, deviceToken }: Stack): Promise<void> {
  const parvis = url('parvis')
  const until = performance.now() + CROWD_SECONDS * 1_000
  const tally = new Map<number, number>()
  const queue = Array.from({ length: LOGINS_QUEUED }, async () => {
    while (performance.now() < until) {
      const response = await loginOnce(parvis, deviceToken)
      await response.arrayBuffer()
      tally.set(response.status, (tally.get(response.status) ?? 0) + 1)
      if (response.status === 503) await setTimeout(Number(response.headers.get('retry-after')) * 1_000)
    }
  })
  const times: number[] = []
  while (performance.now() < until) {
    const startedAt = performance.now()
    await (await fetch(`${parvis}/health/live`)).arrayBuffer()
    times.push(performance.now() - startedAt)
  }
  await Promise.all(queue)
  const p99 = sorted(times)[Math.floor(times.length * 0.99)] ?? Number.NaN
  const answers = [...tally].map(([status, n]) => `${n} × ${status}`).join(', ')
  console.log(
    `\n${LOGINS_QUEUED} sign-ins queued (${answers}): \`/health/live\` p99 ${p99.toFixed(0)} ms, ${said(`< ${P99_MS_MAX} ms`, p99 < P99_MS_MAX)}`,
  )
}
