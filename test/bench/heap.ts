import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { startMailbox } from '../mailbox.ts'
import { freePort, startBare } from './runtime.ts'
import { GUEST, HOME, migrate, PASSWORD, parvis, signUp, type Tokens } from './stack.ts'
import { said } from './table.ts'

const GROWTH_MB_MAX = 10
/** Ten thousand sign-ins take ten minutes: `BENCH_CALLS=10000` for the whole, a tenth by default. */
const CALLS = Number(process.env['BENCH_CALLS'] ?? 1_000)

interface Target {
  readonly title: string
  readonly webSocketDebuggerUrl: string
}

/** What the isolate of the Worker holds once its garbage is collected, in megabytes, by the runtime's inspector. */
async function heapMb(port: number): Promise<number> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as readonly Target[]
  const target = targets.find(({ title }) => title.endsWith('core:user:parvis'))
  if (!target) throw new Error('the inspector does not know the Worker')
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await once(socket, 'open')
  let id = 0
  const ask = async (method: string): Promise<{ readonly usedSize: number }> => {
    const mine = ++id
    socket.send(JSON.stringify({ id: mine, method }))
    for (;;) {
      const [data] = (await once(socket, 'message')) as [Buffer]
      const answer = JSON.parse(String(data)) as { readonly id?: number; readonly result: { readonly usedSize: number } }
      if (answer.id === mine) return answer.result
    }
  }
  await ask('HeapProfiler.collectGarbage')
  const { usedSize } = await ask('Runtime.getHeapUsage')
  socket.terminate()
  return usedSize / 1_048_576
}

/** Signs in and refreshes many times over and weighs what the isolate holds before and after. */
export async function memory(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'parvis-bench-'))
  const mailbox = await startMailbox()
  const inspectorPort = await freePort()
  const { runtime, urls } = await startBare([parvis(mailbox.port)], dir, { inspectorPort })
  const origin = urls['parvis'] ?? ''
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json', ...HOME }
    return (await (await fetch(`${origin}/v1/auth/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as Tokens
  }
  const turn = async (calls: number, deviceToken: string) => {
    for (let i = 0; i < calls; i++) {
      const { refreshToken } = await post('login', { email: GUEST, password: PASSWORD, deviceToken })
      await post('refresh', { refreshToken })
    }
  }
  try {
    await migrate(runtime)
    const { deviceToken } = await signUp(origin, mailbox, GUEST)
    await turn(CALLS / 10, deviceToken)
    const before = await heapMb(inspectorPort)
    await turn(CALLS, deviceToken)
    const grown = (await heapMb(inspectorPort)) - before
    console.log(
      `\n${CALLS} sign-ins and refreshes: the isolate's heap of ${before.toFixed(1)} MB grew by ${grown.toFixed(1)} MB, ${said(`≤ ${GROWTH_MB_MAX} MB`, grown <= GROWTH_MB_MAX)}`,
    )
  } finally {
    await runtime.dispose()
    await mailbox.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}
