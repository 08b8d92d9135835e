import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as z from 'zod'
import {
  LIVE_BEHIND_CHARS,
  LIVE_EPHEMERAL_CHARS_MAX,
  LIVE_REPORT_CHARS,
  LiveClientFrame,
  LiveServerFrame,
} from '../../src/contract/room-live.ts'
import { WAITING_BYTES_MAX, WAITING_FRAMES_MAX } from '../../src/edge/rooms/hocuspocus.ts'

const PAGE = 'docs/live-protocol.md'

interface Shape {
  readonly type?: string
  readonly const?: string
  readonly enum?: readonly string[]
  readonly anyOf?: readonly Shape[]
  readonly oneOf?: readonly Shape[]
  readonly items?: Shape
  readonly description?: string
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly $ref?: string
}

type Defs = Readonly<Record<string, Shape>>

const fieldsOf = ({ properties = {}, required = [] }: Shape, defs: Defs): string =>
  Object.entries(properties)
    .map(([name, field]) => `${name}${required.includes(name) ? '' : '?'}: ${typeOf(field, defs)}`)
    .join(', ')

function typeOf(shape: Shape, defs: Defs): string {
  const { type, const: one, enum: some, items, properties, $ref } = shape
  // What has no name of its own is there because it holds itself: any JSON.
  if ($ref) return $ref.includes('/__') ? 'any JSON' : typeOf(defs[$ref.split('/').at(-1) ?? ''] ?? {}, defs)
  if (one !== undefined) return JSON.stringify(one)
  if (some) return some.length > 12 ? 'slug' : some.map((value) => JSON.stringify(value)).join(' \\| ')
  const either = shape.anyOf ?? shape.oneOf
  if (either) return [...new Set(either.map((option) => typeOf(option, defs)))].join(' \\| ')
  if (type === 'array') return `list of ${items ? typeOf(items, defs) : 'anything'}`
  return type === 'object' && properties ? `{ ${fieldsOf(shape, defs)} }` : (type ?? 'any JSON')
}

function sectionOf({ properties = {}, required = [], description = '' }: Shape, defs: Defs): string {
  const fields = Object.entries(properties).filter(([name]) => name !== 'type')
  const rows = fields.map(
    ([name, field]) =>
      `| \`${name}\`${required.includes(name) ? '' : ' (optional)'} | ${typeOf(field, defs)} | ${field.description ?? ''} |`,
  )
  const table = rows.length === 0 ? '' : `\n\n| field | type | what |\n| --- | --- | --- |\n${rows.join('\n')}`
  return `### \`${properties['type']?.const ?? ''}\`\n\n${description}${table}`
}

function framesOf(union: z.ZodType): string {
  const { oneOf, anyOf, $defs } = z.toJSONSchema(union, { io: 'input', unrepresentable: 'any' }) as Shape & { readonly $defs?: Defs }
  return (oneOf ?? anyOf ?? []).map((frame) => sectionOf(frame, $defs ?? {})).join('\n\n')
}

const page = () => `# The live protocol of a room

\`GET /v1/rooms/:roomId/live\` upgrades to a WebSocket. The credential comes with the upgrade (an \`Authorization\` header, a \`bearer.<token>\` or
\`ticket.<ticket>\` subprotocol beside \`parvis\`, or the access cookie of a trusted origin), or in a first frame \`authenticate\`. Text messages are JSON
frames, each below; binary messages are the document in y-websocket framing once the stream \`document\` is subscribed. The text \`ping\` is
answered with \`pong\` and wakes nothing. A socket closes with 4000 + the HTTP status of a problem, and its slug as the reason. In a room with an
audience commenters are viewers. With \`?incognito=1\` nobody is told that the socket is there.

## What a plain client must do

- After \`authenticate\` it may wait for \`ready\` or go on at once: what it says meanwhile is heard once its token was looked at, up to
  ${WAITING_FRAMES_MAX} frames and ${WAITING_BYTES_MAX / 1024} KiB together; more closes the socket with 4413.
- It says \`received\` at least every ${LIVE_REPORT_CHARS} units. With ${LIVE_EPHEMERAL_CHARS_MAX} unreported, typing and signals are left out, and presence and read markers end
  their stream with \`behind\`; with ${LIVE_BEHIND_CHARS} the messages do; with four times that the next thing it says, unless that is
  \`received\`, closes it with 4429.
- \`behind\` can come on any stream: report what was received, then \`subscribe\` again, \`messages\` from the cursor; \`presence\` answers with the whole.
- It takes a \`presence\` with \`isWhole\` instead of all it knew, at any time.
- Asked by a binary frame \`03\` (\`queryAwareness\`) it says something, \`received\` will do: after 6 MiB of the document without a word it is closed.
- It renews its token by \`refresh\` before \`expiresAt\`.

| close code | reason | on \`/live\` | on \`/y\` and \`/hocuspocus\` |
| --- | --- | --- | --- |
| 1006, 1012 | none | come again after a while | as on \`/live\`; providers do by themselves |
| 4503 | \`unavailable\` | come again after a while; from the cursor nothing is missed | as on \`/live\` |
| 4401 / 4503 | \`unauthenticated\` | come again with a fresh token | 4503: come again with a fresh token; 4401 where none was accepted in time |
| 4429 / 4503 | \`rate-limited\` | come again after a while, and slower | 4503: as on \`/live\` |
| 4401 | \`session-ended\`, \`ticket-invalid\` | sign in again, or get another ticket | as on \`/live\`; y-websocket stops for good |
| 4404, 4410 | \`not-found\`, \`gone\` | it is over | it is over |
| 4400 | \`invalid-request\` | it is over: the same would be refused again | it is over |
| 4413 | \`payload-too-large\` | it is over: the same would be refused again | \`/y\`: it is over; who comes back with the same is told by \`02 00\` and stays. \`/hocuspocus\`: told by \`PermissionDenied\`, and stays |
| 4409 | \`limit-reached\` | come again when another socket has gone | refused at the upgrade |
| 4500 | \`internal\` | come again after a while | as on \`/live\` |

y-websocket takes 4400 to 4499 for good, which is why what passes is 4503 there.

## What a client sends

${framesOf(LiveClientFrame)}

## What a room sends

${framesOf(LiveServerFrame)}
`

test('the page of the live protocol says what the contract says; UPDATE_GOLDEN=1 renews it', () => {
  if (process.env['UPDATE_GOLDEN'] === '1' || !existsSync(PAGE)) writeFileSync(PAGE, page())
  expect(page()).toBe(readFileSync(PAGE, 'utf8'))
})

test('every frame is described', () => {
  for (const union of [LiveClientFrame, LiveServerFrame]) {
    for (const option of union.options) expect(option.meta()?.['description'] ?? option.description).toBeTruthy()
  }
})
