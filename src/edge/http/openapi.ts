import * as z from 'zod'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject, type ZodOpenApiResponsesObject } from 'zod-openapi'
import { type Endpoint, problemsOf, type SocketEndpoint } from '../../contract/endpoint.ts'
import { BeforePoint, HOOK_EVENTS, HookAnswer, HookNews, HookPoint, HookQuestion } from '../../contract/hooks.ts'
import { EntityTag, Moment } from '../../contract/id.ts'
import { PROBLEMS, ProblemBody, type ProblemSlug } from '../../contract/problem.ts'

const TAGS = {
  identity: 'Accounts, sessions and tokens.',
  admin: 'Looking after users and their roles.',
  orgs: 'Organisations and their members.',
  audit: 'What happened, by whom, and the proof that the record of it is whole.',
  rooms: 'Shared documents and who may enter.',
  shells: 'SSH hosts, commands and interactive shells.',
  health: 'Whether the service and what it needs are well.',
} as const

const SECURITY = [{ bearer: [] }, { cookie: [] }]

const templateOf = (path: string): string => path.replace(/:(\w+)/g, '{$1}')

const TRACE_HEADER = z.string().meta({ description: 'W3C trace context of this answer.', header: { id: 'traceparent' } })

const ETAG_HEADER = EntityTag.meta({ description: 'The version of what is shown; `If-Match` names it.', header: { id: 'etag' } })

const IfMatch = z.object({
  'if-match': z.string().meta({
    description: 'The `etag` of what is changed, as it was read (RFC 9110 §13.1.1); `*` for whatever is there.',
    example: '"pS0bK3rXhQ"',
  }),
})

const RETRY_HEADER = z.string().meta({ description: 'Whole seconds to wait before another try.', header: { id: 'retry-after' } })
const LIMIT_HEADERS = {
  'ratelimit-policy': z.string().meta({
    description: 'The budgets in the way: units granted and for how many seconds (draft-ietf-httpapi-ratelimit-headers-11).',
    example: '"login";q=5;w=300',
    header: { id: 'ratelimit-policy' },
  }),
  ratelimit: z.string().meta({
    description: 'Units left of those budgets, and for how many seconds no more than that.',
    example: '"login";r=0;t=300',
    header: { id: 'ratelimit' },
  }),
}

/** What an answer of a status tells besides its body. */
const headersOf = (status: string) =>
  z.object({
    traceparent: TRACE_HEADER,
    ...(status === '429' || status === '503' ? { 'retry-after': RETRY_HEADER } : {}),
    ...(status === '429' ? LIMIT_HEADERS : {}),
  })

/** One response per status; the problems that share it are told apart by `type`. */
function problemResponses(slugs: readonly ProblemSlug[]): ZodOpenApiResponsesObject {
  const byStatus = Object.groupBy(slugs, (slug) => PROBLEMS[slug].status)
  const entries = Object.entries(byStatus).map(([status, same = []]) => {
    const description = same.map((slug) => `\`${slug}\`: ${PROBLEMS[slug].title}`).join('\n\n')
    const content = { 'application/problem+json': { schema: ProblemBody } }
    return [status, { description, headers: headersOf(status), content, 'x-problems': same }]
  })
  return Object.fromEntries(entries) as ZodOpenApiResponsesObject
}

const BYTES = { 'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) } }

/** What an answer is made of; of a stream, the shape of each of its parts. */
function contentOf({ stream, response }: Endpoint) {
  if (stream === 'bytes') return BYTES
  if (stream === 'lines') return { 'application/jsonl': { schema: response } }
  return stream === 'events' ? { 'text/event-stream': { schema: response } } : { 'application/json': { schema: response } }
}

function operationOf(e: Endpoint): ZodOpenApiOperationObject {
  const success =
    e.success === 204
      ? { 204: { description: 'Done.' } }
      : {
          [e.success]: {
            description: 'The answer.',
            headers: z.object({ traceparent: TRACE_HEADER, ...(e.hasEtag && { etag: ETAG_HEADER }) }),
            content: contentOf(e),
          },
          ...(e.stream === 'events' && { 204: { description: 'There is nothing more to follow.' } }),
        }
  return {
    operationId: e.id,
    summary: e.summary,
    tags: [e.tag],
    security: e.access === 'public' ? [] : SECURITY,
    requestParams: {
      ...(e.params && { path: e.params as z.ZodObject }),
      ...(e.query && { query: e.query as z.ZodObject }),
      ...(e.ifMatch && { header: IfMatch }),
    },
    ...(e.body && { requestBody: { required: true, content: { 'application/json': { schema: e.body } } } }),
    ...(e.stream === 'upload' && { requestBody: { required: true, content: BYTES } }),
    responses: { ...success, ...problemResponses(problemsOf(e)) } as ZodOpenApiResponsesObject,
  }
}

const TicketQuery = z.object({
  ticket: z.string().optional().meta({ description: 'A single-use ticket, where no header or subprotocol can be sent.' }),
})

const AT_THE_DOOR =
  'Offer the subprotocols `parvis` and `bearer.<access token>`, or `parvis` and `ticket.<ticket>`; or send the Authorization header.'

function socketOperationOf(s: SocketEndpoint): ZodOpenApiOperationObject {
  return {
    operationId: s.id,
    summary: s.summary,
    description: `A WebSocket upgrade. ${s.isOpen ? 'The credential comes in the first frame.' : AT_THE_DOOR}`,
    tags: [s.tag],
    security: s.isOpen ? [] : SECURITY,
    ...(s.isOpen ? {} : { requestParams: { path: s.params as unknown as z.ZodObject, query: TicketQuery } }),
    responses: {
      101: { description: 'The socket is open.' },
      ...problemResponses([...s.problems, 'internal', 'unavailable']),
    } as ZodOpenApiResponsesObject,
  }
}

const DECIDES = 'Whether it may begin. Anything else than 200 with such a body in time is no decision, and the fail mode of the hook holds.'

/** What a webhook meets when a hook points at it: a question with an answer, or news. */
function hookOperationOf(point: HookPoint): ZodOpenApiOperationObject {
  const isAsked = BeforePoint.safeParse(point).success
  const type = HOOK_EVENTS[point]
  const body = z.object({ type: z.literal(type), timestamp: Moment, data: isAsked ? HookQuestion : HookNews })
  const answer = { 200: { description: DECIDES, content: { 'application/json': { schema: HookAnswer } } } }
  return {
    operationId: `hook-${point}`,
    summary: isAsked ? `Asked at ${point}, signed as every webhook is.` : `Told at ${point}, signed as every webhook is.`,
    tags: ['shells'],
    security: [],
    requestBody: { required: true, content: { 'application/json': { schema: body } } },
    responses: isAsked ? answer : { '2XX': { description: 'It was heard; anything else is tried again.' } },
  }
}

/** OpenAPI 3.1, printed from the same objects that the server validates with and the client calls by. */
export function openApiDocument(endpoints: Readonly<Record<string, Endpoint>>, sockets: Readonly<Record<string, SocketEndpoint>>): object {
  const operations = [
    ...Object.values(endpoints).map((e) => ({ path: templateOf(e.path), method: e.method.toLowerCase(), operation: operationOf(e) })),
    ...Object.values(sockets).map((s) => ({ path: templateOf(s.path), method: 'get', operation: socketOperationOf(s) })),
  ]
  const byPath = Map.groupBy(operations, (o) => o.path)
  const paths = Object.fromEntries([...byPath].map(([path, same]) => [path, Object.fromEntries(same.map((o) => [o.method, o.operation]))]))
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Parvis',
      version: '1',
      summary: 'Identity, realtime rooms and audited remote shells at the edge.',
      description: 'Every failure is an RFC 9457 problem with a trace id. Times are ISO 8601 in UTC. Lists are paged by an opaque cursor.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The deployment that serves this document.' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: paths as ZodOpenApiPathsObject,
    webhooks: Object.fromEntries(HookPoint.options.map((point) => [HOOK_EVENTS[point], { post: hookOperationOf(point) }])),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token from `login` or `refresh`.' },
        cookie: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-parvis-access',
          description: 'Cookie mode; calls that change something need a trusted Origin.',
        },
      },
    },
  })
}
