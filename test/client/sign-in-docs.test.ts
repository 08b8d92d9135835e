import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import * as files from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as jose from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import * as client from '../../src/client/client.ts'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { codeOf, factorsOf } from '../identity/authenticator.ts'
import { register, signInRaw } from '../identity/raw.ts'

/** Where the documents say that the service is; here its name leads to the harness. */
const DOCUMENTED = 'https://parvis.example.org'

/** The fenced programs under a heading of a document, in order. */
function programsUnder(path: string, heading: string): readonly string[] {
  const [, section = ''] = readFileSync(path, 'utf8').split(`\n${heading}\n`)
  const own = section.split(/\n#{1,6} /)[0] ?? ''
  return [...own.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, program = '']) => program)
}

type Modules = Readonly<Record<string, object>>
type Values = Readonly<Record<string, unknown>>

/** Runs a program as it is printed: its imports come from here, the names it leaves to its reader are given, what it declares is answered. */
async function run(program: string, { modules, given = {} }: { readonly modules: Modules; readonly given?: Values }): Promise<Values> {
  const declared = [...program.matchAll(/^(?:export )?(?:const|let|async function|function) (\w+)/gm)].map(([, name]) => name)
  const body = stripTypeScriptTypes(program)
    .replace(/^import (\{[^}]+\}) from '([^']+)'$/gm, (_, names: string, module: string) => {
      if (!(module in modules)) throw new Error(`the document imports ${module}`)
      return `const ${names} = modules['${module}']`
    })
    .replace(/^export /gm, '')
  const AsyncFunction = (async () => undefined).constructor as new (...parts: string[]) => (...values: unknown[]) => Promise<Values>
  const call = new AsyncFunction('modules', ...Object.keys(given), `${body}\nreturn { ${declared.join(', ')} }`)
  return call(modules, ...Object.values(given))
}

let edge: Edge
const home = mkdtempSync(join(tmpdir(), 'parvis-docs-'))
const realFetch = globalThis.fetch
beforeAll(async () => {
  edge = await startEdge({ vars: { PUBLIC_ORIGIN: DOCUMENTED } })
})
afterAll(async () => {
  await edge.stop()
  rmSync(home, { recursive: true })
})
beforeEach(() => {
  vi.stubGlobal('fetch', (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init)
    const url = request.url.replace(DOCUMENTED, edge.origin)
    return realFetch(new Request(url, request))
  })
})
afterEach(() => vi.unstubAllGlobals())

const MODULES: Modules = { 'parvis/client': client, jose, 'node:fs/promises': files }
const { protect } = factorsOf(() => edge)

describe('signing people in, by the very programs of the README', () => {
  const programs = programsUnder('README.md', '## Sign people in from your app')
  const [inBrowser = '', byPasskey = '', onServer = '', onDesktop = ''] = programs

  test('there are four', () => expect(programs).toHaveLength(4))

  test('a browser app signs in with a password', async () => {
    const kept = new Map<string, string>()
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    })
    const email = await register(edge, 'page')
    const { parvis } = (await run(inBrowser, { modules: MODULES, given: { email, password: PASSWORD, code: '000000' } })) as {
      parvis: client.Client
    }
    expect(await parvis.getMe()).toMatchObject({ email })
    expect([...kept.values()].join()).toContain('prt_')
  })

  test('and with a second factor', async () => {
    const { email, secret } = await protect('page')
    const given = { email, password: PASSWORD, code: codeOf(secret) }
    const modules = { ...MODULES, 'parvis/client': { ...client, localStorageTokens: () => client.memoryTokens() } }
    const { parvis } = (await run(inBrowser, { modules, given })) as { parvis: client.Client }
    expect(await parvis.getFactors()).toMatchObject({ hasTotp: true })
  })

  test('and asks the browser for a passkey', async () => {
    const asked: unknown[] = []
    vi.stubGlobal('PublicKeyCredential', { parseRequestOptionsFromJSON: (options: unknown) => options })
    vi.stubGlobal('navigator', {
      credentials: {
        get: async (options: unknown) => {
          asked.push(options)
          throw new DOMException('Nobody touched it.', 'NotAllowedError')
        },
      },
    })
    const parvis = client.createClient({ origin: DOCUMENTED })
    await expect(run(byPasskey, { modules: MODULES, given: { parvis } })).rejects.toMatchObject({ name: 'NotAllowedError' })
    expect(asked).toMatchObject([{ publicKey: { rpId: new URL(DOCUMENTED).hostname, userVerification: 'required' } }])
  })

  test('a Next.js server tells who calls, and turns everybody else away', async () => {
    const { GET } = (await run(onServer, { modules: MODULES })) as { GET: (request: Request) => Promise<Response> }
    const ask = (authorization?: string) =>
      GET(new Request('https://app.example.net/api/notes', { headers: authorization ? { authorization } : {} }))
    const { accessToken, refreshToken, userId } = await signInRaw(edge, 'route')
    const answer = await ask(`Bearer ${accessToken}`)
    expect([answer.status, await answer.json()]).toEqual([200, { userId }])
    const other = await new jose.SignJWT(jose.decodeJwt(accessToken))
      .setProtectedHeader({ ...jose.decodeProtectedHeader(accessToken), alg: 'EdDSA' })
      .sign((await jose.generateKeyPair('EdDSA')).privateKey)
    for (const bad of [undefined, 'Bearer', 'Bearer x.y.z', `Bearer ${refreshToken}`, `Bearer ${other}`, `Basic ${accessToken}`])
      expect((await ask(bad)).status, bad).toBe(401)
  })

  test('an Electron app stays signed in over a restart, with nothing readable on its disk', async () => {
    const turned = (bytes: Buffer) => Buffer.from(bytes.map((byte) => byte ^ 0x5a))
    const safeStorage = {
      encryptString: (text: string) => turned(Buffer.from(text)),
      decryptString: (sealed: Buffer) => turned(sealed).toString(),
    }
    const modules = { ...MODULES, electron: { app: { getPath: () => home }, safeStorage } }
    const start = async () => ((await run(onDesktop, { modules })) as { parvis: client.Client }).parvis
    const email = await register(edge, 'desktop')
    await (await start()).login({ body: { email, password: PASSWORD } })
    const file = join(home, 'session')
    expect(readFileSync(file, 'latin1')).not.toContain('prt_')
    const again = await start()
    expect(await again.getMe()).toMatchObject({ email })
    await again.logout()
    expect(existsSync(file)).toBe(false)
    await expect((await start()).getMe()).rejects.toMatchObject({ slug: 'unauthenticated' })
    await files.writeFile(file, 'what another keychain has sealed')
    await expect((await start()).getMe()).rejects.toMatchObject({ slug: 'unauthenticated' })
  })
})

describe('a second factor, by the very programs of docs/identity.md', () => {
  const [signIn = '', , stepUp = ''] = programsUnder('docs/identity.md', '## A second factor')

  test('signs in, and keeps the trust in the device', async () => {
    const { email, secret } = await protect('documented')
    const parvis = client.createClient({ origin: DOCUMENTED })
    const given = {
      client: parvis,
      email,
      password: PASSWORD,
      code: codeOf(secret),
    }
    await run(signIn, { modules: MODULES, given })
    expect(await parvis.getMe()).toMatchObject({ email })
    await parvis.logout()
    expect((await parvis.login({ body: { email, password: PASSWORD } })).factorRequired).toBeUndefined()
  })

  test('is proven again where that is asked for', async () => {
    const { email, secret, device } = await protect('stepping')
    const parvis = client.createClient({ origin: DOCUMENTED })
    const first = await parvis.login({ body: { email, password: PASSWORD } })
    await parvis.finishLogin({ body: { pendingId: first.factorRequired!.pendingId, proof: { method: 'totp', code: codeOf(secret) } } })
    await edge.db
      .prepare('UPDATE sessions SET authenticated_at = authenticated_at - 300001 WHERE user_id = ? AND id <> ?')
      .bind(device.userId, device.sessionId)
      .run()
    await edge.db.prepare('UPDATE totp_factors SET last_step = 0 WHERE user_id = ?').bind(device.userId).run()
    await run(stepUp, { modules: MODULES, given: { client: parvis, code: codeOf(secret), isProblem: client.isProblem } })
    expect((await parvis.getFactors()).stepUp.validUntil).not.toBeNull()
  })
})
