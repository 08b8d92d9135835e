import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { Complaint } from '../../src/dev/complaint.ts'
import { prepareDevVars } from '../../src/dev/dev-vars.ts'
import { readPorts } from '../../src/dev/ports.ts'
import { prepareSecrets } from '../../src/dev/secrets.ts'
import { CONFIG_KEYS, parseConfig } from '../../src/edge/platform/config.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dev-vars-'))
  path = join(folder, '.dev.vars')
  onTestFinished(() => rmSync(folder, { recursive: true }))
})

const prepare = (env: Record<string, string> = {}) => prepareDevVars({ path, ports: readPorts(env), secrets: prepareSecrets(folder) })
const text = () => readFileSync(path, 'utf8')

describe('.dev.vars', () => {
  test('is written on the first start, for its owner only, and is all that the Worker needs', () => {
    const { vars } = prepare()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(vars).toEqual(parseEnv(text()))
    expect(Object.keys(vars).filter((key) => !CONFIG_KEYS.includes(key))).toEqual([])
    const config = parseConfig(vars)
    expect(config).toMatchObject({ isDev: true, publicOrigin: 'http://localhost:8787', relays: [{ id: 'local' }] })
    expect(config.relays[0]?.dialerKey.kid).toBeTruthy()
  })

  test('holds secrets that would do in production, and others on every machine', () => {
    const first = prepare().vars
    const production = { ENVIRONMENT: 'production', PUBLIC_ORIGIN: 'https://parvis.example.org', MAIL_TRANSPORT: 'cloudflare' }
    expect(() => parseConfig({ ...first, ...production })).not.toThrow()
    rmSync(path)
    rmSync(join(folder, 'relay-signing.jwk'))
    const second = prepare().vars
    for (const key of ['SECRET_KEYS', 'RELAY_VERIFY_KEY', 'RELAY_DIALER_KEY']) expect(second[key]).not.toBe(first[key])
  })

  test('holds nothing of the relay that the relay alone may know', () => {
    const secrets = prepareSecrets(folder)
    prepare()
    for (const key of [secrets.relaySigning, secrets.relaySealing]) {
      const { d } = JSON.parse(readFileSync(key.path, 'utf8')) as { readonly d: string }
      expect(d).toHaveLength(43)
      expect(text()).not.toContain(d)
      expect(statSync(key.path).mode & 0o777).toBe(0o600)
    }
  })

  test('stays as it is on every later start', () => {
    prepare()
    const written = text()
    prepare({ PORT: '9000' })
    expect(text()).toBe(written)
  })

  test('of an older version gets what is new at its end, and keeps every byte before it', () => {
    prepare()
    const lines = text().split('\n')
    const older =
      `# mine\nPRODUCT_NAME="My # product"\n${lines.filter((line) => !/^RELAY_SEAL_KEY|^MAIL_FROM/.test(line)).join('\n')}`.trimEnd()
    writeFileSync(path, older)
    const { vars } = prepare()
    expect(text().startsWith(`${older}\n`)).toBe(true)
    expect(Object.keys(parseEnv(text().slice(older.length)))).toEqual(['MAIL_FROM', 'RELAY_SEAL_KEY'])
    expect(vars['PRODUCT_NAME']).toBe('My # product')
  })
})

describe('addresses', () => {
  test('of the local parts follow the ports of this start', () => {
    prepare()
    expect(prepare({ PORT: '9000', MAIL_CATCHER_PORT: '9001', RELAY_PORT: '9002' }).addresses).toEqual({
      PUBLIC_ORIGIN: 'http://localhost:9000',
      MAIL_CATCHER_URL: 'http://127.0.0.1:9001',
      RELAY_PORT: '9002',
    })
  })

  test('that somebody chose stay', () => {
    writeFileSync(
      path,
      'PUBLIC_ORIGIN=https://my-tunnel.example.org\nRELAY_HOST=relay.example.org\nRELAY_PORT=443\nMAIL_CATCHER_URL=http://10.0.0.5:8025\n',
    )
    expect(prepare({ PORT: '9000', RELAY_PORT: '9002' }).addresses).toEqual({})
  })
})

describe('a start is refused', () => {
  const complaint = (): string => {
    try {
      prepare()
    } catch (error) {
      if (error instanceof Complaint) return error.message
      throw error
    }
    return 'nothing'
  }

  test.each([
    ['SECRET_KEYS', 'SECRET_KEYS=1:c2hvcnQ'],
    ['PUBLIC_ORIGIN', 'PUBLIC_ORIGIN=https://localhost/app'],
    ['MAIL_TRANSPORT', 'MAIL_TRANSPORT=pigeon'],
    ['SMTP_HOST', 'MAIL_TRANSPORT=smtp'],
  ])('naming %s and nothing of its value', (key, line) => {
    writeFileSync(path, `${line}\n`)
    expect(complaint()).toBe(`.dev.vars has values that cannot be used (${key}): correct them, or remove their lines and start again.`)
  })

  test('when the relay proves itself with another key than the Worker expects; removing the line mends it', () => {
    prepare()
    rmSync(join(folder, 'relay-signing.jwk'))
    expect(complaint()).toBe(
      'RELAY_VERIFY_KEY in .dev.vars is not the key of the local relay in .parvis: remove that line to have it written again.',
    )
    writeFileSync(path, text().replace(/^RELAY_VERIFY_KEY.*\n/m, ''))
    expect(complaint()).toBe('nothing')
  })

  test('when a key is no key, without showing it', () => {
    writeFileSync(path, 'RELAY_SEAL_KEY=hunter2\n')
    expect(complaint()).toBe('RELAY_SEAL_KEY in .dev.vars is not a key: remove it to have it drawn again.')
    expect(parseEnv(text())['RELAY_SEAL_KEY']).toBe('hunter2')
  })

  test('when it cannot be read', () => {
    rmSync(path, { force: true })
    path = folder
    expect(complaint()).toBe('.dev.vars cannot be read or written (EISDIR).')
  })
})
