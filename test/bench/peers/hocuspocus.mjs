import { Server } from '@hocuspocus/server'

const server = new Server({ port: 0, address: '127.0.0.1', quiet: true, stopOnSignals: false, onAuthenticate: async () => ({}) })
await server.listen()
process.stdout.write(`${server.address.port}\n`)
