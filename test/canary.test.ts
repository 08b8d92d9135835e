import { execFileSync } from 'node:child_process'
import { createECDH, randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keyOf, made, SCOPES, type Sent } from './access/world.ts'
import { accountsOf, type Device } from './identity/account.ts'
import { codeOf, factorsOf } from './identity/authenticator.ts'
import { mailsOf, proofIn } from './identity/mailed.ts'
import { post } from './identity/raw.ts'
import { scopeOf } from './identity/scope.ts'
import { startPushService } from './inbox/push-service.ts'
import { describeWith } from './requires.ts'
import { hostBody, type Rig, startRig } from './shell/rig.ts'

/** What must be found in clear nowhere, by what it is. */
type Canaries = Map<string, string>

/** The spellings in which a secret could lie about. */
const spellingsOf = (secret: string): readonly string[] => {
  const bytes = Buffer.from(secret)
  // Inside a longer text base64 shifts by one or two bytes; only whole groups of three are sure to show.
  const shifts = [0, 1, 2].map((skip) => bytes.subarray(skip, skip + Math.floor((bytes.length - skip) / 3) * 3))
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    encodeURIComponent(secret),
  ].concat(shifts.flatMap((part) => [part.toString('base64'), part.toString('base64url')]))
}

/** A code of six digits is one where nothing continues it: digits of ids and times are everywhere. */
const patternOf = (secret: string): RegExp | undefined =>
  /^\d{6}$/.test(secret) ? new RegExp(`(?<![\\w.-])${secret}(?![\\w.-])`) : undefined

function isIn(text: string, secret: string): boolean {
  const pattern = patternOf(secret)
  return pattern ? pattern.test(text) : spellingsOf(secret).some((spelling) => text.includes(spelling))
}

/** Every cell of a SQLite file, one a line: bytes as their text and as hex. */
function cellsOf(path: string): string {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as { name: string }[]
    return tables
      .flatMap(({ name }) => {
        const select = db.prepare(`SELECT * FROM "${name}"`)
        select.setReadBigInts(true)
        return select.all().flatMap((row) => Object.values(row).map(cellText))
      })
      .join('\n')
  } finally {
    db.close()
  }
}
const cellText = (cell: unknown): string =>
  cell instanceof Uint8Array ? `${Buffer.from(cell).toString('latin1')}\n${Buffer.from(cell).toString('hex')}` : String(cell)

const filesUnder = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

describeWith('sshd', 'after people have used everything', () => {
  const home = mkdtempSync(join(tmpdir(), 'parvis-canary-'))
  const canaries: Canaries = new Map()
  const seen = new Map<string, string>()
  let rig: Rig
  let service: Awaited<ReturnType<typeof startPushService>>
  const edge = () => rig.edge
  const { askMagic, newest, useMagic, about } = mailsOf(edge)
  const { login, settle, change, refresh, ask, reset } = accountsOf(edge)
  const { finish, totp, recovery, pendingOf } = factorsOf(edge)

  const mark = (name: string, secret: unknown): string => {
    if (typeof secret !== 'string' || secret.length < 6) throw new Error(`${name} is no secret`)
    canaries.set(`${name} ${canaries.size}`, secret)
    return secret
  }
  const markMail = (name: string, { code, token }: { readonly code: string; readonly token: string }) => {
    if (code) mark(`the code ${name}`, code)
    if (token) mark(`the link ${name}`, token)
  }
  function markTokens(body: Record<string, unknown>): Device {
    mark('an access token', body['accessToken'])
    mark('the signature of an access token', String(body['accessToken']).split('.')[2])
    mark('a refresh token', body['refreshToken'])
    if (body['deviceToken'] !== undefined) mark('what tells a device from others', body['deviceToken'])
    return body as unknown as Device
  }

  /** Registers, signs in by password and by mail, resets and changes the password. */
  async function comeIn(email: string): Promise<{ readonly device: Device; readonly password: string }> {
    const first = mark('a password', 'kestrel-canary first password 7315')
    const { status, body } = await post(edge(), '/v1/auth/register', { email, password: first })
    if (status !== 202) throw new Error(`registering answered ${status}`)
    const mail = proofIn(await edge().mailbox.mailTo(email))
    markMail('of a registration', mail)
    await post(edge(), '/v1/auth/verify', { registrationId: body['registrationId'], code: mail.code })
    await login(email, mark('a wrong password', 'kestrel-canary wrong password 9921'))
    await askMagic(email)
    const magic = await newest(email, 2)
    markMail('of a sign-in', magic)
    markTokens((await useMagic({ token: magic.token })).body)
    const { resetId, code } = await ask(email)
    markMail('of a reset', await about(email, /^Reset/))
    const second = mark('a new password', 'kestrel-canary second password 4402')
    await reset(resetId, code, second)
    const device = markTokens((await login(email, second)).body)
    const third = mark('a changed password', 'kestrel-canary third password 1187')
    if ((await change(device, second, third)).status !== 204) throw new Error('the password was not changed')
    markTokens((await refresh(device)).body)
    return { device, password: third }
  }

  /** Sets up an app, and signs in with it and with a recovery code. */
  async function addFactor(email: string, { device, password }: { readonly device: Device; readonly password: string }): Promise<Device> {
    const as = (sent: Sent) => made(edge(), device, sent)
    const { secret } = await as({ method: 'POST', path: '/v1/auth/totp' })
    mark('the secret of an app', secret)
    const confirmed = await as({
      method: 'POST',
      path: '/v1/auth/totp/confirm',
      body: { code: mark('a code of an app', codeOf(String(secret), -1)) },
    })
    markMail('back from a first factor', await about(email, /sign-in method was added/))
    for (const code of confirmed['recoveryCodes'] as string[]) {
      mark('a recovery code', code)
      mark('a recovery code as it is typed', code.replace('-', ''))
    }
    const first = await finish(pendingOf(await login(email, password)), totp(mark('a code of an app', codeOf(String(secret)))), {
      trustDevice: true,
    })
    mark('the trust in a device', first.body['trustToken'])
    markTokens(first.body)
    const [code = ''] = confirmed['recoveryCodes'] as string[]
    return markTokens((await finish(pendingOf(await login(email, password)), recovery(code))).body)
  }

  /** Makes a key, tickets, invitations and links. */
  async function handOut(device: Device): Promise<string> {
    const as = (method: string, path: string, body?: unknown) =>
      made(edge(), device, { method, path, ...(body === undefined ? {} : { body }) })
    const person = { ...device, email: '' }
    const key = mark('an API key', await keyOf(edge(), person, SCOPES))
    mark('an API key without its prefix', key.slice(12))
    await made(edge(), { accessToken: key }, { method: 'GET', path: '/v1/me' })
    const orgId = String((await as('POST', '/v1/orgs', { name: 'Lighthouse' }))['id'])
    const roomId = String((await as('POST', '/v1/rooms', { name: 'Minutes' }))['id'])
    mark('a link to a room', (await as('POST', `/v1/rooms/${roomId}/invites`, { role: 'viewer' }))['token'])
    mark('a ticket of a room', (await as('POST', `/v1/rooms/${roomId}/tickets`))['ticket'])
    mark('a ticket of the inbox', (await as('POST', '/v1/inbox/tickets'))['ticket'])
    mark('the path of an export', (await as('POST', `/v1/orgs/${orgId}/audit/exports`, {}))['path'])
    await as('POST', `/v1/orgs/${orgId}/invitations`, { email: 'guest@example.net', role: 'reader' })
    markMail('of an invitation', proofIn(await edge().mailbox.mailTo('guest@example.net')))
    const p256dh = createECDH('prime256v1').generateKeys('base64url')
    const auth = mark('the secret of a subscription', randomBytes(16).toString('base64url'))
    mark('the bytes of that secret', Buffer.from(auth, 'base64url').toString('hex'))
    await as('GET', '/v1/inbox/push')
    await as('PUT', '/v1/inbox/push', { endpoint: `${service.origin}/push/merlin`, keys: { p256dh, auth } })
    await as('POST', '/v1/me/email', { email: 'merlin-next@example.net' })
    const change = proofIn(await edge().mailbox.mailTo('merlin-next@example.net'))
    markMail('of a change of address', change)
    await as('POST', '/v1/me/email/confirm', { token: change.token })
    markMail('back from a change of address', await about('merlin@example.net', /^The address of your/))
    return orgId
  }

  /** Registers hosts with every kind of credential, and runs a command. */
  async function reachHosts(device: Device, orgId: string): Promise<void> {
    const as = (method: string, path: string, body: unknown) => made(edge(), device, { method, path, body })
    const passphrase = mark('a passphrase', 'kestrel-canary passphrase 5520')
    const path = join(home, 'guarded')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-f', path])
    const guarded = readFileSync(path, 'utf8')
    const keys = [rig.sshd.privateKey, guarded]
    for (const key of keys) for (const line of key.split('\n').slice(2, 4)) mark('a line of a private key', line)
    const password = mark('the password of a host', 'kestrel-canary host password 6613')
    const credentials = [
      { kind: 'password', password },
      { kind: 'private-key', privateKey: guarded, passphrase },
      { kind: 'private-key', privateKey: rig.sshd.privateKey },
    ] as const
    for (const credential of credentials) {
      const { id } = await as('POST', `/v1/orgs/${orgId}/hosts`, { ...hostBody(rig.sshd, credential), name: `web-${canaries.size}` })
      const ran = await post(edge(), `/v1/hosts/${id}/exec`, { command: 'echo hello' }, { authorization: `Bearer ${device.accessToken}` })
      seen.set(`the answer for a ${credential.kind}`, JSON.stringify(ran.body))
    }
    const rigOwner = await rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'echo hello' } })
    expect(rigOwner.stdout).toBe('hello\n')
  }

  /** Opens what lies sealed: the private halves of the keys that sign tokens and pushes. */
  async function markKeys(): Promise<void> {
    const { keyring } = scopeOf(edge()).config
    const utf8 = new TextDecoder()
    const { results: signing } = await edge()
      .db.prepare('SELECT kid, private_jwk FROM signing_keys')
      .all<{ kid: string; private_jwk: string }>()
    for (const { kid, private_jwk: sealed } of signing) {
      const { d } = JSON.parse(utf8.decode(await keyring.open('signing-key', kid, sealed))) as { d: string }
      mark('a key that signs tokens', d)
    }
    const push = await edge().db.prepare('SELECT sealed_private FROM push_keys').first<string>('sealed_private')
    // The 32 bytes of the private number in PKCS #8 of a P-256 key (RFC 5915).
    const number = Buffer.from(await keyring.open('vapid', 'push_keys', push ?? '')).subarray(36, 68)
    mark('the key that signs pushes', number.toString('base64url'))
    mark('the bytes of that key', number.toString('hex'))
  }

  beforeAll(async () => {
    chmodSync(home, 0o755)
    process.env['TMPDIR'] = home
    service = await startPushService()
    const metricsToken = mark('the token of the metrics', randomBytes(32).toString('base64url'))
    rig = await startRig({ vars: { PUSH_SERVICES: service.origin, METRICS_TOKEN: metricsToken } })
    await edge().request('/metrics', { headers: { authorization: `Bearer ${metricsToken}` } })
    for (const name of ['RELAY_DIALER_KEY'] as const) mark(name, (JSON.parse(rig.keys.edge[name]) as { d: string }).d)
    mark('the root secret', rig.edge.settings.SECRET_KEYS.split(':')[1])
    const email = 'merlin@example.net'
    const device = await addFactor(email, await comeIn(email))
    const orgId = await handOut(device)
    await reachHosts(device, orgId)
    await settle()
    await edge().worker.scheduled({ cron: '* * * * *' })
    await settle()
    await markKeys()
    seen.set('the log of the Worker', JSON.stringify(edge().server.getLogs()))
    seen.set('the log of the relay', rig.relay().lines.join('\n'))
    for (const path of filesUnder(home).filter((file) => file.includes('miniflare-'))) {
      seen.set(path, readFileSync(path, 'latin1'))
      if (path.endsWith('.sqlite')) seen.set(`the cells of ${path}`, cellsOf(path))
    }
  }, 120_000)
  afterAll(async () => {
    await rig?.stop()
    await service?.stop()
    rmSync(home, { recursive: true, force: true })
  })

  test('the search reads what is kept: the log, every database, every object', () => {
    const all = [...seen]
    const holding = (text: string) => all.filter(([, content]) => content.includes(text)).map(([name]) => name)
    expect(holding('merlin@example.net').some((name) => name.startsWith('the cells of'))).toBe(true)
    expect(holding('/push/merlin').some((name) => name.includes('InboxObject'))).toBe(true)
    expect(seen.get('the log of the Worker')).toContain('/v1/auth/login')
    expect(seen.get('the log of the relay')?.length).toBeGreaterThan(100)
    expect(canaries.size).toBeGreaterThan(60)
  })

  test.each([
    ['a text', 'plain-canary-123', 'xx plain-canary-123 yy'],
    ['base64 at any place', 'plain-canary-123', Buffer.from('x plain-canary-123 y').toString('base64')],
    ['hex', 'plain-canary-123', Buffer.from('plain-canary-123').toString('hex')],
    ['a code', '123456', '{"code":"123456"}'],
  ])('it would find %s', (_, secret, text) => expect(isIn(text, secret)).toBe(true))

  test('nothing holds a secret in clear', () => {
    const found: string[] = []
    for (const [where, content] of seen) {
      for (const [name, secret] of canaries) {
        // Raw pages hold binary numbers that look like anything: codes are looked for in cells and logs.
        if (patternOf(secret) && !where.startsWith('the ')) continue
        if (isIn(content, secret)) found.push(`${name} in ${where.replace(home, '')}`)
      }
    }
    expect(found).toEqual([])
  })
})
