import { expect, test } from 'vitest'
import { isProblem } from '../../src/contract/problem.ts'
import type { RelayConfig } from '../../src/edge/platform/relays.ts'
import { type ContainerPort, relayDialer } from '../../src/edge/shell/dialer.ts'

const RELAY = { id: 'relay-1', transport: { kind: 'container', port: 7022, env: { RELAY_ID: 'relay-1' } } } as unknown as RelayConfig

/** What the platform gives for a bound container: it listens some time after its start. */
function container({ refusals = 0, isRunning = false }: { readonly refusals?: number; readonly isRunning?: boolean }) {
  const said: string[] = []
  let left = refusals
  let isUp = isRunning
  const port = {
    get running() {
      return isUp
    },
    start(options?: ContainerStartupOptions) {
      said.push(`start ${JSON.stringify(options)}`)
      isUp = true
    },
    setInactivityTimeout: async (ms: number | bigint) => void said.push(`keep ${ms}`),
    async destroy() {
      said.push('destroy')
      isUp = false
    },
    getTcpPort: (number: number) => ({
      connect() {
        said.push(`connect ${number}`)
        left -= 1
        const opened = left < 0 ? Promise.resolve({}) : Promise.reject(new Error('connection refused'))
        opened.catch(() => undefined)
        return { opened, closed: new Promise<void>(() => undefined), close: async () => undefined }
      },
    }),
  }
  return { said, port: port as unknown as ContainerPort }
}

test('a container is started once, with its keys, and dialled until it listens', async () => {
  const { said, port } = container({ refusals: 2 })
  const dialer = relayDialer(RELAY, port)
  await dialer.dial(1_000)
  expect(said).toEqual([
    'start {"enableInternet":true,"env":{"RELAY_ID":"relay-1"}}',
    'keep 660000',
    'connect 7022',
    'connect 7022',
    'connect 7022',
  ])
  await dialer.dial(1_000)
  expect(said.filter((word) => word.startsWith('start'))).toHaveLength(1)
  await dialer.release()
  await dialer.release()
  expect(said.filter((word) => word === 'destroy')).toHaveLength(1)
})

test('a container that never listens costs the time that was given, and one that is not bound says so', async () => {
  const { port } = container({ refusals: 1_000, isRunning: true })
  const startedAt = Date.now()
  await expect(relayDialer(RELAY, port).dial(1_000)).rejects.toSatisfy((error: unknown) => isProblem(error) && error.slug === 'unavailable')
  expect(Date.now() - startedAt).toBeLessThan(3_000)
  expect(() => relayDialer(RELAY, undefined)).toThrow('No container is bound for the relay.')
})
