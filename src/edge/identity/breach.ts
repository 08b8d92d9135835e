import type { Scope } from '../platform/scope.ts'

/** What is known of a password's past; `unknown` when nobody could be asked in time. */
export type Past = 'clean' | 'breached' | 'unknown'

/** All a person waits for it. */
const BUDGET_MS = 1_000
/** Of a SHA-1 in hex, this much goes out: it names about a thousand leaked passwords, so it tells next to nothing (k-anonymity). */
const PREFIX_CHARS = 5
const KEPT_MS = 3_600_000
/** Four times the longest real answer. */
const ANSWER_CHARS_MAX = 262_144
/** At about 40 kB an answer this is 2 MB. */
const ANSWERS_MAX = 50
const LINE = /^[0-9A-F]{35}(:\d+)?$/

interface Kept {
  /** Rests of the hashes that begin with the prefix. */
  readonly leaked: ReadonlySet<string>
  readonly at: number
}

/** Answers of this isolate, oldest first. */
const kept = new Map<string, Kept>()

async function sha1Of(password: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(password))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()
}

/** The answer's text, whole or not at all: half an answer would call the other half clean. */
async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > ANSWER_CHARS_MAX) throw new Error('the range answer is too long')
  }
  return text
}

/** A count may be missing; one of zero is padding, which hides the answer's true length from whoever listens. */
function leakedIn(text: string): ReadonlySet<string> {
  const lines = text.split('\n').map((line) => line.trim().toUpperCase())
  const meant = lines.filter((line) => line !== '')
  if (meant.length === 0 || !meant.every((line) => LINE.test(line))) throw new Error('the range answer is of another form')
  return new Set(meant.filter((line) => !/:0+$/.test(line)).map((line) => line.slice(0, 35)))
}

async function fetchRange(scope: Scope, prefix: string): Promise<ReadonlySet<string>> {
  const response = await fetch(scope.config.breach.rangeUrl + prefix, {
    headers: { 'add-padding': 'true', 'user-agent': 'Parvis' },
    redirect: 'manual',
    signal: AbortSignal.timeout(BUDGET_MS),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`the range service answered ${response.status}`)
  }
  return leakedIn(await readText(response))
}

async function rangeOf(scope: Scope, prefix: string): Promise<ReadonlySet<string>> {
  const known = kept.get(prefix)
  if (known && scope.now() - known.at < KEPT_MS) return known.leaked
  const leaked = await fetchRange(scope, prefix)
  const [oldest] = kept.keys()
  if (kept.size >= ANSWERS_MAX && oldest !== undefined) kept.delete(oldest)
  kept.delete(prefix)
  kept.set(prefix, { leaked, at: scope.now() })
  return leaked
}

/** Whether a password has leaked somewhere, within a second. Neither it nor its whole hash leaves this isolate. */
export async function pastOf(scope: Scope, password: string): Promise<Past> {
  const hash = await sha1Of(password)
  try {
    const leaked = await rangeOf(scope, hash.slice(0, PREFIX_CHARS))
    return leaked.has(hash.slice(PREFIX_CHARS)) ? 'breached' : 'clean'
  } catch (error) {
    scope.log('breach.unknown', { error: error instanceof Error ? error.name : typeof error })
    return 'unknown'
  }
}
