import { createServer, type Server } from 'node:http'
import type { Gauges, Metrics } from './metrics.ts'

/** Slow or many clients of the health port are not worth a shell's memory. */
const CONNECTIONS_MAX = 64
const REQUEST_MS = 5_000

/** `GET /health/live`: the process answers. `GET /health/ready`: it takes new shells; 503 otherwise. `GET /metrics`: for Prometheus. Counts, nothing of anyone. */
export function createHealthServer(report: () => Gauges, metrics: Metrics): Server {
  const limits = {
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: REQUEST_MS,
    maxHeaderSize: 8_192,
  }
  const server = createServer(limits, (request, response) => {
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, {
        'content-type': type,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        connection: 'close',
      })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    const answer = (status: number, body: object): void => send(status, 'application/json', JSON.stringify(body))
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, { status: 'method-not-allowed' })
    if (request.url === '/metrics') return send(200, 'text/plain; version=0.0.4; charset=utf-8', metrics.text(report()))
    if (request.url === '/health/live') return answer(200, { status: 'ok' })
    if (request.url !== '/health/ready') return answer(404, { status: 'not-found' })
    const { isReady, isDraining, links, shells } = report()
    answer(isReady ? 200 : 503, { status: isReady ? 'ok' : isDraining ? 'draining' : 'full', links, shells })
  })
  server.maxConnections = CONNECTIONS_MAX
  return server
}
