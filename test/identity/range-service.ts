import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How a range service answers; what is not said it does well. */
export type Answering = (request: IncomingMessage, response: ServerResponse) => void

const sha1 = (password: string) => createHash('sha1').update(password).digest('hex').toUpperCase()

/** A line of the answer for a password, and how often it leaked; without a number the count is missing. */
export const lineFor = (password: string, count?: number) => `${sha1(password).slice(5)}${count === undefined ? '' : `:${count}`}`

/** Lines that pad an answer, as the real service sends them. */
export const padding = (lines: number) => Array.from({ length: lines }, (_, i) => `${sha1(`padding ${i}`).slice(5)}:0`)

/** A real HTTP server that speaks as Have I Been Pwned's range API does, or as badly as a test wants. */
export async function startRangeService() {
  const asked: { readonly path: string; readonly padding: string | undefined; readonly userAgent: string | undefined }[] = []
  let answering: Answering = (_, response) => response.end(padding(20).join('\r\n'))
  const server = createServer((request, response) => {
    const { 'add-padding': padded, 'user-agent': userAgent } = request.headers
    asked.push({ path: request.url ?? '', padding: padded as string | undefined, userAgent })
    answering(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/range/`,
    asked,
    /** What was asked about a password. */
    askedFor: (password: string) => asked.filter(({ path }) => path === `/range/${sha1(password).slice(0, 5)}`),
    answer: (next: Answering) => {
      answering = next
    },
    answerLines: (lines: readonly string[], separator = '\r\n') => {
      answering = (_, response) => response.end(lines.join(separator))
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A running {@link startRangeService}. */
export type RangeService = Awaited<ReturnType<typeof startRangeService>>
