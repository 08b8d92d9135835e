import * as z from 'zod'

/** After "Build failed" come, at once, an error and the place of it. */
const BUILD = /^Build failed/
const TOGETHER_MS = 200

const Failure = z.looseObject({ event: z.string(), error: z.string(), message: z.string().optional(), traceId: z.string().optional() })

/** Something that went wrong, in one line. */
export interface WorkerError {
  readonly text: string
  /** A Worker that has not answered yet never will. */
  readonly isFatal: boolean
}

/** Reads lines of wrangler and of the Worker inside it, and tells the errors. */
export function createErrorReader(tell: (error: WorkerError) => void): (line: string) => void {
  let build: string | undefined
  const tellBuild = (place = '') => {
    if (build !== undefined) tell({ text: `${build}${place}`, isFatal: true })
    build = undefined
  }
  return (line) => {
    const place = /^\s+(\S+:\d+:\d+):$/.exec(line)?.[1]
    if (build !== undefined && place !== undefined) return tellBuild(` (${place})`)
    const failure = failureOf(line)
    if (failure !== undefined) return tell(failure)
    const error = errorOf(line)
    if (error === undefined) return
    if (build === undefined && !BUILD.test(error)) return tell({ text: error, isFatal: true })
    build = build === undefined || BUILD.test(build) ? error : build
    setTimeout(tellBuild, TOGETHER_MS)
  }
}

/** What wrangler says went wrong. */
const errorOf = (line: string): string | undefined => /\[ERROR\]\s*(.+)/.exec(line)?.[1]?.replace(/[.:]$/, '')

/** What a structured line says of an unexpected error. */
function failureOf(line: string): WorkerError | undefined {
  if (!line.startsWith('{')) return undefined
  const failure = Failure.safeParse(parseJson(line))
  if (!failure.success) return undefined
  const { event, error, message, traceId } = failure.data
  return { text: `${event}: ${message ?? error}${traceId ? ` (trace ${traceId})` : ''}`, isFatal: event === 'config.refused' }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
