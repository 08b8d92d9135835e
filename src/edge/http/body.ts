import { type Fault, Problem } from '../../contract/problem.ts'

/** Enough for any body of ours; V8 parses a document this size in under a millisecond. */
export const JSON_BYTES_MAX = 65_536
/** No schema of ours nests deeper than a handful; millions of levels cost seconds to parse. */
export const JSON_DEPTH_MAX = 32
/** Members and elements together. */
export const JSON_KEYS_MAX = 4_096

/** Reads at most `bytesMax`, declared or not. @throws Problem `payload-too-large` */
async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = () => new Problem('payload-too-large', { detail: `At most ${bytesMax} bytes.` })
  const declared = request.headers.get('content-length')
  if (Number(declared ?? 0) > bytesMax) throw tooLarge()
  // The runtime holds a body to the length it declares, and one read of the whole costs less than a loop over its chunks.
  if (declared !== null) return new Uint8Array(await request.arrayBuffer())
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength
    if (length > bytesMax) throw tooLarge()
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

/** Refuses deep or crowded JSON by one pass over its text, before any parser allocates for it. */
function refuseBombs(text: string): void {
  let depth = 0
  let keys = 0
  let isString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (isString) {
      if (c === 0x5c) i++
      else if (c === 0x22) isString = false
    } else if (c === 0x22) isString = true
    else if (c === 0x7b || c === 0x5b) depth++
    else if (c === 0x7d || c === 0x5d) depth--
    else if (c === 0x2c) keys++
    if (depth > JSON_DEPTH_MAX) throw new Problem('invalid-request', { detail: `JSON nested deeper than ${JSON_DEPTH_MAX} levels.` })
    if (keys > JSON_KEYS_MAX) throw new Problem('invalid-request', { detail: `JSON with more than ${JSON_KEYS_MAX} members.` })
  }
}

/** Text that no store or peer of ours handles alike: NUL, lone surrogates, and the key that reaches prototypes. */
export function faultsOfText(value: unknown, pointer: string): Fault[] {
  if (typeof value === 'string') {
    const isClean = value.isWellFormed() && !value.includes('\0')
    return isClean ? [] : [{ detail: 'holds NUL or a lone surrogate', pointer }]
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => {
    const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
    return key === '__proto__' ? [{ detail: 'is not a field', pointer: at }] : faultsOfText(member, at)
  })
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('invalid-request', { detail: 'The body is not JSON.' })
  }
}

/** @throws Problem `media-type-unsupported` for anything but plain application/json in UTF-8. */
function refuseMedia(headers: Headers): void {
  const [type, ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';')
  const isUtf8 = parameters.every((p) => !p.trim().startsWith('charset=') || /^charset="?utf-8"?$/.test(p.trim()))
  const encoding = headers.get('content-encoding') ?? 'identity'
  if (type?.trim() !== 'application/json' || !isUtf8 || encoding.toLowerCase() !== 'identity') throw new Problem('media-type-unsupported')
}

/** The JSON body of a request, bounded in bytes, depth and members. @throws Problem */
export async function readJson(request: Request, bytesMax = JSON_BYTES_MAX): Promise<unknown> {
  refuseMedia(request.headers)
  const bytes = await readBytes(request, bytesMax)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Problem('invalid-request', { detail: 'The body is not UTF-8.' })
  }
  refuseBombs(text)
  const value = parseJson(text)
  const errors = faultsOfText(value, '#/body')
  if (errors.length > 0) throw new Problem('invalid-request', { errors })
  return value
}
