import { expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { SHELL_ID } from './service.ts'

test('a platform without WebSocket is told so', () => {
  const { WebSocket } = globalThis
  try {
    Reflect.deleteProperty(globalThis, 'WebSocket')
    const client = createClient({ origin: 'http://127.0.0.1:1' })
    expect(() => client.shells.attach(SHELL_ID, { output: () => undefined })).toThrow(TypeError)
    client.close()
  } finally {
    globalThis.WebSocket = WebSocket
  }
})
