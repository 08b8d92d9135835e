import { createServer, type Server } from 'node:http'

/** What a health check may know: counts, nothing of anyone. */
export interface HealthReport {
  readonly isReady: boolean
  readonly isDraining: boolean
  readonly links: number
  readonly shells: number
}

/** Slow or many clients of the health port are not worth a shell's memory. */
const CONNECTIONS_MAX = 64
const REQUEST_MS = 5_000

/** `GET /health/live`: the process answers. `GET /health/ready`: it takes new shells; 503 otherwise. */
export function createHealthServer(report: () => HealthReport): Server {
  const limits = {
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: REQUEST_MS,
    maxHeaderSize: 8_192,
  }
  const server = createServer(limits, (request, response) => {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        connection: 'close',
      })
      response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body))
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, { status: 'method-not-allowed' })
    if (request.url === '/health/live') return answer(200, { status: 'ok' })
    if (request.url !== '/health/ready') return answer(404, { status: 'not-found' })
    const { isReady, isDraining, links, shells } = report()
    answer(isReady ? 200 : 503, { status: isReady ? 'ok' : isDraining ? 'draining' : 'full', links, shells })
  })
  server.maxConnections = CONNECTIONS_MAX
  return server
}
