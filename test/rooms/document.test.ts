import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { RoomId } from '../../src/contract/rooms.ts'
import { type Edge, startEdge } from '../harness.ts'
import { bearer, type Editor, editorOf, meet, type Person, until } from './person.ts'

let edge: Edge
let ada: Person
let bob: Person
let stranger: Person

beforeAll(async () => {
  edge = await startEdge()
  ;[ada, bob, stranger] = await Promise.all([meet(edge, 'ada'), meet(edge, 'bob'), meet(edge, 'stranger')])
})
afterAll(() => edge.stop())

/** Providers tell of no single event to wait for; a busy machine takes longer than the second that polling grants. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 20_000 })

const editors: Editor[] = []
afterEach(() => {
  for (const editor of editors.splice(0)) editor.stop()
})

async function edit(roomId: RoomId): Promise<Editor> {
  const editor = editorOf(edge, roomId, { protocols: bearer(ada) })
  editors.push(editor)
  await until(editor, () => editor.provider.synced)
  return editor
}

const at = (roomId: RoomId, rest = 'document') => `/v1/rooms/${roomId}/${rest}`
const patch = (person: Person, roomId: RoomId, body: object) => person.send('PATCH', at(roomId), body)
const json = async (roomId: RoomId) => (await ada.send('GET', at(roomId))).body['json']
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

describe('patching the document', () => {
  test('changes it for open editors at once, and every kind of shared type is told back', async () => {
    const roomId = await ada.openRoom()
    const editor = await edit(roomId)
    const operations = [
      { op: 'text.set', name: 't', text: 'hello world' },
      { op: 'text.insert', name: 't', index: 5, text: ',' },
      { op: 'text.delete', name: 't', index: 0, length: 1 },
      { op: 'text.insert', name: 't', index: 0, text: 'H' },
      { op: 'map.set', name: 'm', key: 'k', value: { deep: [1, null] } },
      { op: 'map.set', name: 'm', key: 'gone', value: 1 },
      { op: 'map.delete', name: 'm', key: 'gone' },
      { op: 'array.insert', name: 'a', index: 0, values: ['x', 2, 'y'] },
      { op: 'array.delete', name: 'a', index: 1, length: 1 },
    ]
    expect(await patch(ada, roomId, { operations })).toMatchObject({ status: 200 })
    await until(editor, () => editor.text.toString() === 'Hello, world')
    expect(editor.doc.getMap('m').toJSON()).toEqual({ k: { deep: [1, null] } })
    const paragraph = new Y.XmlElement('paragraph')
    editor.doc.getXmlFragment('x').insert(0, [paragraph])
    paragraph.insert(0, [new Y.XmlText('a block')])
    await expect
      .poll(() => json(roomId))
      .toEqual({
        a: ['x', 'y'],
        m: { k: { deep: [1, null] } },
        t: 'Hello, world',
        x: '<paragraph>a block</paragraph>',
      })
    expect((await ada.send('GET', `${at(roomId)}?format=text`)).body['text']).toContain('Hello, world\na block')
    const { body } = await ada.send('GET', `${at(roomId)}?format=update`)
    const copy = new Y.Doc()
    Y.applyUpdate(copy, Buffer.from(String(body['update']), 'base64url'))
    expect(copy.getText('t').toString()).toBe('Hello, world')
  })

  test('takes a Yjs update, and refuses one whose ground is not here', async () => {
    const roomId = await ada.openRoom()
    const doc = new Y.Doc()
    const updates: Uint8Array[] = []
    doc.on('update', (update) => updates.push(update))
    doc.getText('t').insert(0, 'one ')
    doc.getText('t').insert(4, 'two')
    const [first, second] = updates.map((update) => ({ update: base64(update) })) as [object, object]
    expect(await patch(ada, roomId, second)).toMatchObject({ status: 409, slug: 'conflict' })
    expect(await patch(ada, roomId, first)).toMatchObject({ status: 200 })
    expect(await patch(ada, roomId, second)).toMatchObject({ status: 200 })
    expect(await json(roomId)).toEqual({ t: 'one two' })
    expect(await patch(ada, roomId, { update: base64(new Uint8Array([9, 9, 9])) })).toMatchObject({ status: 400 })
    expect(await patch(ada, roomId, { update: 'no/base64url=' })).toMatchObject({ status: 400 })
  })

  test('does all operations or none', async () => {
    const roomId = await ada.openRoom()
    await patch(ada, roomId, { operations: [{ op: 'text.set', name: 't', text: 'whole' }] })
    for (const [bad, status] of [
      [{ op: 'text.insert', name: 't', index: 99, text: 'x' }, 400],
      [{ op: 'map.set', name: 't', key: 'k', value: 1 }, 409],
    ] as const)
      expect(await patch(ada, roomId, { operations: [{ op: 'text.insert', name: 't', index: 0, text: 'half ' }, bad] })).toMatchObject({
        status,
      })
    expect(await json(roomId)).toEqual({ t: 'whole' })
    for (const body of [{}, { operations: [] }, { operations: [{ op: 'x' }] }, { operations: [], update: 'AAA' }])
      expect(await patch(ada, roomId, body)).toMatchObject({ status: 400, slug: 'invalid-request' })
  })

  test('can be held to what was read', async () => {
    const roomId = await ada.openRoom()
    const { body } = await patch(ada, roomId, { operations: [{ op: 'text.set', name: 't', text: 'a' }] })
    const { stateVector } = body
    expect(await patch(ada, roomId, { operations: [{ op: 'text.insert', name: 't', index: 0, text: 'b' }], stateVector })).toMatchObject({
      status: 200,
    })
    expect(await patch(ada, roomId, { operations: [{ op: 'text.insert', name: 't', index: 0, text: 'c' }], stateVector })).toMatchObject({
      status: 409,
    })
  })

  test('is for those who may write, in a room that may be written', async () => {
    const roomId = await ada.openRoom()
    const body = { operations: [{ op: 'text.set', name: 't', text: 'no' }] }
    for (const role of ['viewer', 'commenter'] as const) {
      await ada.seat(roomId, bob, role)
      expect(await patch(bob, roomId, body)).toMatchObject({ status: 403 })
      expect(await bob.send('GET', at(roomId))).toMatchObject({ status: 200 })
      expect(await bob.send('POST', at(roomId, 'versions'), { name: 'mine' })).toMatchObject({ status: 403 })
    }
    expect(await patch(stranger, roomId, body)).toMatchObject({ status: 404 })
    expect(await stranger.send('GET', at(roomId))).toMatchObject({ status: 404 })
    expect(await stranger.send('GET', at(roomId, 'versions'))).toMatchObject({ status: 404 })
    await ada.send('PATCH', `/v1/rooms/${roomId}`, { archived: true })
    expect(await patch(ada, roomId, body)).toMatchObject({ status: 409 })
    expect(await json(roomId)).toEqual({})
  })
})

describe('versions', () => {
  test('are kept by name, told, compared, and restored as a new change that editors see', async () => {
    const roomId = await ada.openRoom()
    const editor = await edit(roomId)
    await patch(ada, roomId, {
      operations: [
        { op: 'text.set', name: 't', text: 'first line\nsecond line' },
        { op: 'map.set', name: 'm', key: 'k', value: 1 },
        { op: 'array.insert', name: 'a', index: 0, values: ['x'] },
      ],
    })
    const kept = await ada.send('POST', at(roomId, 'versions'), { name: 'draft' })
    expect(kept).toMatchObject({ status: 201, body: { kind: 'named', name: 'draft' } })
    const id = String(kept.body['id'])
    await patch(ada, roomId, {
      operations: [
        { op: 'text.set', name: 't', text: 'first line\nanother line' },
        { op: 'map.set', name: 'm', key: 'new', value: 2 },
        { op: 'map.delete', name: 'm', key: 'k' },
        { op: 'array.insert', name: 'a', index: 0, values: ['z'] },
        { op: 'text.set', name: 'later', text: 'added' },
      ],
    })
    const { changes } = (await ada.send('GET', at(roomId, `versions/${id}/diff`))).body as { changes: { remove: string; insert: string }[] }
    expect(changes.map(({ remove }) => remove).join()).toContain('second')
    expect(changes.map(({ insert }) => insert).join()).toContain('another')
    const then = { a: ['x'], m: { k: 1 }, t: 'first line\nsecond line' }
    expect((await ada.send('GET', at(roomId, `versions/${id}`))).body['json']).toEqual(then)
    expect(await ada.send('POST', at(roomId, `versions/${id}/restore`))).toMatchObject({ status: 200 })
    await until(editor, () => editor.text.toString() === 'first line\nsecond line')
    expect(await json(roomId)).toMatchObject(then)
    expect(editor.doc.getText('later').toString()).toBe('')
    const { items } = (await ada.send('GET', at(roomId, 'versions'))).body as { items: { kind: string }[] }
    expect(items.map(({ kind }) => kind)).toEqual(['restored', 'named'])
    expect(await ada.send('GET', at(roomId, 'versions/999'))).toMatchObject({ status: 404 })
    expect(await ada.send('GET', at(roomId, 'versions/x'))).toMatchObject({ status: 404 })
  })

  test('restore formatted text and XML as they were', async () => {
    const roomId = await ada.openRoom()
    const editor = await edit(roomId)
    editor.text.insert(0, 'plain ')
    editor.text.insert(6, 'bold', { bold: true })
    const paragraph = new Y.XmlElement('p')
    editor.doc.getXmlFragment('x').insert(0, [paragraph])
    paragraph.insert(0, [new Y.XmlText('words')])
    await eventually(() => json(roomId)).toHaveProperty('x', '<p>words</p>')
    const delta = editor.text.toDelta()
    const { body } = await ada.send('POST', at(roomId, 'versions'), { name: 'rich' })
    editor.text.delete(0, 8)
    editor.doc.getXmlFragment('x').delete(0, 1)
    await eventually(() => json(roomId)).toEqual({ t: 'ld', x: '' })
    await ada.send('POST', at(roomId, `versions/${body['id']}/restore`))
    await until(editor, () => editor.doc.getXmlFragment('x').toString() === '<p>words</p>')
    expect(editor.text.toDelta()).toEqual(delta)
  })
})
