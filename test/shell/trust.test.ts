import { lookup } from 'node:dns/promises'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { generateSealingKey, generateSigningKey } from '../../src/relay/keys.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { freePort, makeKey } from '../relay/sshd.ts'
import { type Keys, makeKeys, problemOf, startRelay } from './rig.ts'

/** Something that listens where the Worker expects its relay. */
async function listenAt(port: number, take: (socket: Socket) => void, address = '127.0.0.1'): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    take(socket)
  })
  await new Promise<void>((resolve) => server.listen(port, address, resolve))
  return async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
}

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

const directory = mkdtempSync(join(tmpdir(), 'parvis-trust-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const hostKey = makeKey(join(directory, 'host'), 'ed25519')

async function startFor(keys: Keys, at: { readonly host: string; readonly port: number }) {
  const edge: Edge = await startEdge({ vars: { ...keys.edge, RELAY_HOST: at.host, RELAY_PORT: String(at.port) } })
  const user: TestUser = await edge.signUp('owner')
  const org = await user.client.createOrg({ body: { name: 'Wary' } })
  const body = {
    name: 'h',
    address: '127.0.0.1',
    port: 22,
    user: 'root',
    keys: [{ type: hostKey.type, key: hostKey.key }],
    credential: { kind: 'password' as const, password: 'never-sent' },
  }
  const host = await user.client.createHost({ params: { orgId: org.id }, body })
  return { edge, exec: () => user.client.execCommand({ params: { hostId: host.id }, body: { command: 'true' } }) }
}

let keys: Keys
let port: number
let edge: Edge
let exec: () => Promise<unknown>
beforeAll(async () => {
  keys = makeKeys()
  port = await freePort()
  const started = await startFor(keys, { host: '127.0.0.1', port })
  edge = started.edge
  exec = started.exec
})
afterAll(() => edge.stop())

async function relayWith(change: Partial<Keys['relay']>) {
  const relay = await startRelay({ ...keys, relay: { ...keys.relay, ...change } }, { port })
  stops.push(() => relay.kill())
  return relay
}

test('a relay that signs with another key is told nothing: no grant, no secret', async () => {
  const relay = await relayWith({ RELAY_SIGNING_KEY: JSON.stringify(generateSigningKey().privateJwk) })
  expect(await problemOf(exec())).toMatchObject({ slug: 'unavailable', detail: 'The relay could not be authenticated.' })
  expect(relay.lines.join('\n')).not.toMatch(/shell-|grant/)
})

test('a relay with another sealing key is not even told who we are', async () => {
  const relay = await relayWith({ RELAY_SEALING_KEY: JSON.stringify(generateSealingKey().privateJwk) })
  expect(await problemOf(exec())).toMatchObject({ slug: 'unavailable' })
  expect(relay.events('link-opened')).toEqual([])
})

test('a relay of another name, or one that does not know us, is not used', async () => {
  const other = await relayWith({ RELAY_ID: 'relay-2' })
  expect(await problemOf(exec())).toMatchObject({ slug: 'unavailable' })
  expect(other.events('link-opened')).toEqual([])
  await stops.pop()?.()
  const stranger = await relayWith({ RELAY_DIALER_KEYS: JSON.stringify([generateSigningKey().publicJwk]) })
  expect(await problemOf(exec())).toMatchObject({ slug: 'unavailable' })
  expect(stranger.events('link-refused').at(-1)).toMatchObject({ reason: 'auth-refused' })
})

test('whatever else listens there costs a few seconds at most', async () => {
  const peers: [string, (socket: Socket) => void][] = [
    ['nobody', () => undefined],
    ['one that closes', (socket) => socket.end()],
    ['one that talks HTTP', (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n')],
    ['one that floods', (socket) => void socket.write(Buffer.alloc(5_000_000, 1))],
    ['one that claims a huge frame', (socket) => void socket.write(Buffer.from([255, 255, 255, 255, 2, 0, 0, 0, 0]))],
    [
      'one that says ERR',
      (socket) => void socket.write(Buffer.concat([Buffer.from([0, 0, 0, 20, 5, 0, 0, 0, 0]), Buffer.from('{"code":"busy"}')])),
    ],
  ]
  for (const [name, take] of peers) {
    const close = await listenAt(port, take)
    const startedAt = Date.now()
    expect([name, (await problemOf(exec())).slug]).toEqual([name, 'unavailable'])
    expect([name, Date.now() - startedAt < 9_000]).toEqual([name, true])
    await close()
  }
  expect(await problemOf(exec())).toMatchObject({ slug: 'unavailable', detail: 'The relay cannot be reached.' })
}, 60_000)

test('towards any name but this machine’s own the link is TLS, and a peer that speaks none costs its deadline', async () => {
  const hello: Buffer[] = []
  // The machine's own name, which means nothing to the Worker.
  const { address } = await lookup(hostname(), 4)
  const plainPort = await freePort()
  stops.push(await listenAt(plainPort, (socket) => socket.once('data', (bytes: Buffer) => hello.push(bytes)), address))
  const tls = await startFor(keys, { host: hostname(), port: plainPort })
  stops.push(tls.edge.stop)
  const startedAt = Date.now()
  expect(await problemOf(tls.exec())).toMatchObject({ slug: 'unavailable' })
  expect(Date.now() - startedAt).toBeLessThan(9_000)
  // A TLS record of a handshake (RFC 8446 §5.1), not KRP.
  expect([...(hello[0] ?? [])].slice(0, 2)).toEqual([22, 3])
})
