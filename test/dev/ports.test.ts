import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { mustBeFree, readPorts } from '../../src/dev/ports.ts'
import { freePorts } from './stack.ts'

async function listen(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as { readonly port: number }).port
}

/** Ports for the parts that a test does not speak of. */
const spares = async () => Object.fromEntries(Object.entries(await freePorts()).map(([name, port]) => [name, String(port)]))

test('a port that nobody sets is the standard one', () => {
  const standard = { PORT: 8787, MAIL_CATCHER_PORT: 8025, RELAY_PORT: 7022, RELAY_HEALTH_PORT: 7023, DEMO_HOST_PORT: 2222 }
  expect(readPorts({ PORT: '', OTHER: '1' })).toEqual(standard)
  expect(readPorts({ PORT: '9000', RELAY_PORT: '65535' })).toEqual({ ...standard, PORT: 9000, RELAY_PORT: 65_535 })
})

test.each(['http', '0', '-1', '65536', '80.5', '0x50', ' 80', '99999999999'])('%j is not a port', (PORT) => {
  expect(() => readPorts({ PORT })).toThrow('PORT is not a port: set it to a number from 1 to 65535.')
})

test('two parts cannot have one port, chosen or standard', () => {
  expect(() => readPorts({ PORT: '9000', DEMO_HOST_PORT: '9000' })).toThrow(
    'PORT and DEMO_HOST_PORT are both 9000: give each its own port.',
  )
  expect(() => readPorts({ RELAY_PORT: '8787' })).toThrow('PORT and RELAY_PORT are both 8787: give each its own port.')
})

test('a port that somebody holds is named with who holds it', async () => {
  const port = await listen('0.0.0.0')
  const taken = mustBeFree(readPorts({ ...(await spares()), RELAY_PORT: String(port) }))
  await expect(taken).rejects.toThrow(
    `Port ${port} for the relay is taken by node, process ${process.pid}: end it, or choose another port with \`RELAY_PORT=… npm start\`.`,
  )
})

test('the port of the Worker must also be free where browsers look first, on a machine that has IPv6', async () => {
  const port = await listen('::1').catch(() => undefined)
  const checked = mustBeFree(readPorts({ ...(await spares()), ...(port !== undefined && { PORT: String(port) }) }))
  if (port === undefined) await expect(checked).resolves.toBeUndefined()
  else await expect(checked).rejects.toThrow(`Port ${port} for the Worker is taken by node`)
})
