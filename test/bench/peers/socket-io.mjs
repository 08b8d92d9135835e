import { Server } from 'socket.io'

const server = new Server({ transports: ['websocket'], perMessageDeflate: false, maxHttpBufferSize: 2_000_000 })
server.on('connection', (socket) => {
  const { room } = socket.handshake.query
  socket.join(room)
  socket.on('m', (bytes) => server.to(room).emit('m', bytes))
})
server.listen(0)
process.stdout.write(`${server.httpServer.address().port}\n`)
