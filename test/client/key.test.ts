import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from 'vitest'
import { createClient, type KeyClient } from '../../src/client/client.ts'
import type { ApiScope } from '../../src/contract/permission.ts'
import { endpoints } from '../../src/contract/registry.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { startRig } from '../shell/rig.ts'
import { soon } from './service.ts'

let edge: Edge
let owner: TestUser
beforeAll(async () => {
  edge = await startEdge()
  owner = await edge.signUp('owner')
})
afterAll(() => edge.stop())

/** A program with a key of these scopes, and every request it sent. */
async function program(...scopes: ApiScope[]) {
  const { apiKey, token } = await owner.client.createApiKey({ body: { name: 'Program', scopes } })
  const sent: { readonly url: URL; readonly authorization: string | null }[] = []
  const client = createClient({
    origin: edge.origin,
    apiKey: token,
    fetch: (url, init) => {
      sent.push({ url, authorization: new Headers(init.headers).get('authorization') })
      return fetch(url, init)
    },
  })
  const revoke = () => owner.client.revokeApiKey({ params: { apiKeyId: apiKey.id } })
  return { client, sent, token, revoke }
}

const problemOf = (room: { on: (name: 'problem', listener: (error: Error) => void) => unknown }) =>
  new Promise((resolve) => void room.on('problem', resolve))

describe('a client with an API key', () => {
  test('acts as its user within the key’s scopes, and says which problem stands elsewhere', async () => {
    const { client, sent, token } = await program('account:read', 'rooms:read')
    expect(await client.getMe()).toMatchObject({ id: owner.id, email: owner.email })
    expect((await client.listRooms()).items).toEqual([])
    await expect(client.createRoom({ body: { name: 'plans' } })).rejects.toMatchObject({ slug: 'scope-missing' })
    expect(sent.map(({ authorization }) => authorization)).toEqual(Array.from({ length: 3 }, () => `Bearer ${token}`))
    expect(sent.some(({ url }) => url.href.includes(token))).toBe(false)
  })

  test('has the operations that keys have scopes for, and no others', async () => {
    const { client } = await program('rooms:read')
    const scoped = Object.values(endpoints).filter((e) => 'scope' in e && e.scope !== undefined)
    expect(Object.keys(client).toSorted()).toEqual([...scoped.map(({ id }) => id), 'rooms', 'shells', 'close'].toSorted())
    expectTypeOf<KeyClient>().toHaveProperty('createRoom')
    for (const name of ['login', 'refresh', 'logout', 'createApiKey', 'listUsers', 'inbox', 'deleteMe']) expect(name in client).toBe(false)
    expectTypeOf<KeyClient>().not.toHaveProperty('login')
    expectTypeOf<KeyClient>().not.toHaveProperty('createApiKey')
    expectTypeOf<KeyClient>().not.toHaveProperty('listUsers')
  })

  test('works in a room until the key is revoked, and asks for no other token then', async () => {
    const { client, sent, revoke } = await program('rooms:read', 'rooms:write')
    const { id } = await client.createRoom({ body: { name: 'plans' } })
    const room = await client.rooms.join(id)
    room.doc.getText('text').insert(0, 'by a program')
    await room.saved()
    const problem = problemOf(room)
    await revoke()
    expect(await problem).toMatchObject({ slug: 'session-ended' })
    await expect(client.listRooms()).rejects.toMatchObject({ slug: 'unauthenticated' })
    expect(sent.map(({ url }) => url.pathname)).not.toContain(endpoints.refresh.path)
    client.close()
  })

  test('is told by a room why its door stays shut: for want of a scope, or because the key is over', async () => {
    const { id } = await owner.client.createRoom({ body: { name: 'plans' } })
    const reader = await program('rooms:read')
    expect(await problemOf(await reader.client.rooms.join(id))).toMatchObject({ slug: 'scope-missing' })
    await reader.revoke()
    expect(await problemOf(await reader.client.rooms.join(id))).toMatchObject({ slug: 'unauthenticated' })
  })

  test('is not made of what is no key, and tells nobody what was given', () => {
    for (const apiKey of ['', 'secret', 'pvk_', 'pvk_abc\r\nx: y', 'Bearer pvk_abc'])
      expect(() => createClient({ origin: edge.origin, apiKey })).toThrow(new TypeError('This is no API key: one begins with pvk_.'))
  })
})

describeWith('sshd', 'a shell of a program with an API key', () => {
  test('opens, runs and ends like any other', async () => {
    const rig = await startRig()
    try {
      const { token } = await rig.owner.client.createApiKey({ body: { name: 'Program', scopes: ['shells:read', 'shells:write'] } })
      const client = createClient({ origin: rig.edge.origin, apiKey: token })
      let text = ''
      const view = await client.shells.open(
        { body: { hostId: rig.host.id } },
        {
          output(bytes) {
            text += new TextDecoder().decode(bytes)
          },
        },
      )
      view.write("printf '%s-%s' by a-program; exit\n")
      await soon(() => text).toContain('by-a-program')
      expect((await view.finished()).state).toBe('closed')
      client.close()
    } finally {
      await rig.stop()
    }
  })
})
