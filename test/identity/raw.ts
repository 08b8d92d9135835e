import { type Edge, PASSWORD } from '../harness.ts'

/** An answer as it came, for what the typed client would hide. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
  readonly slug: string | undefined
}

/** Reads any answer. */
export async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  const body = (text ? JSON.parse(text) : {}) as Record<string, unknown>
  const { status, headers } = response
  return { status, headers, body, slug: typeof body['type'] === 'string' ? body['type'].split('/').at(-1) : undefined }
}

/** Posts JSON. */
export const post = async (edge: Edge, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  read(
    await edge.request(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }),
  )

let people = 0

/** Registers and proves a new address; answers it. */
export async function register(edge: Edge, name: string, password = PASSWORD): Promise<string> {
  const email = `${name}-${++people}@example.net`.toLowerCase()
  const { body } = await post(edge, '/v1/auth/register', { email, password })
  const code = await edge.mailbox.codeTo(email)
  const { status } = await post(edge, '/v1/auth/verify', { registrationId: body['registrationId'], code })
  if (status !== 204) throw new Error(`verify answered ${status}`)
  return email
}

/** Registers, proves and signs in; answers the raw tokens. */
export async function signInRaw(edge: Edge, name: string, password = PASSWORD) {
  const email = await register(edge, name, password)
  const { body } = await post(edge, '/v1/auth/login', { email, password })
  const text = (key: string) => String(body[key])
  return {
    email,
    refreshToken: text('refreshToken'),
    accessToken: text('accessToken'),
    sessionId: text('sessionId'),
    userId: text('userId'),
    deviceToken: text('deviceToken'),
  }
}
