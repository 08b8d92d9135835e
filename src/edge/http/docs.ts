import type { Endpoint, SocketEndpoint } from '../../contract/endpoint.ts'
import { endpoints, sockets } from '../../contract/registry.ts'
import { pageCsp } from './headers.ts'
import type { EdgeApp } from './implement.ts'
import { openApiDocument } from './openapi.ts'

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parvis API reference</title>
<link rel="icon" href="/assets/icon.svg">
</head>
<body>
<div id="reference"></div>
<noscript>The reference needs scripts. The same in JSON: <a href="/v1/openapi.json">/v1/openapi.json</a>.</noscript>
<script src="/assets/reference.js"></script>
<script src="/assets/docs.js"></script>
</body>
</html>
`

/** An hour: the document changes with a deployment only. */
const CACHE = 'public, max-age=3600'

/** A file whose name changes with its content. */
const HASHED = /-[A-Z0-9]{8}\.js$/
const FOREVER = 'public, max-age=31536000, immutable'

/** Serves the OpenAPI document and a reference page whose assets are our own. */
export function mountDocs(app: EdgeApp): void {
  let document: string | undefined
  app.get('/v1/openapi.json', (c) => {
    c.set('route', '/v1/openapi.json')
    document ??= JSON.stringify(
      openApiDocument(endpoints as unknown as Record<string, Endpoint>, sockets as unknown as Record<string, SocketEndpoint>),
    )
    return c.body(document, 200, { 'content-type': 'application/json; charset=utf-8', 'cache-control': CACHE })
  })
  app.get('/docs', (c) => {
    c.set('route', '/docs')
    // The reference renderer writes inline styles.
    return c.body(PAGE, 200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': pageCsp('inline'),
      'cache-control': CACHE,
    })
  })
  app.get('/assets/*', async (c) => {
    c.set('route', '/assets/*')
    const path = new URL(c.req.url).pathname.replace(/^\/assets/, '')
    const known = c.req.header('if-none-match')
    const found = await c.env.ASSETS.fetch(new Request(`https://assets.local${path}`, { headers: known ? { 'if-none-match': known } : {} }))
    if (found.status !== 200 && found.status !== 304) return c.notFound()
    const headers = new Headers(found.headers)
    headers.set('cache-control', HASHED.test(path) ? FOREVER : 'no-cache')
    return new Response(found.body, { status: found.status, headers })
  })
}
