import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { sealAad, sealCredential } from '../../src/contract/seal.ts'
import { type CertificateGrant, certify, generateSshKey, isPrincipal } from '../../src/edge/shell/certificate.ts'
import { generateSealingKey } from '../../src/relay/keys.ts'
import { openLogin } from '../../src/relay/login.ts'
import { describeWith } from '../requires.ts'

const NOW = 1_795_000_000
const grant: CertificateGrant = {
  keyId: 'usr_1 shl_1',
  principal: 'ops',
  validAfter: NOW,
  validBefore: NOW + 300,
  permits: 'permit-pty',
  sourceAddresses: [],
}
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const issue = async (change: Partial<CertificateGrant> = {}) => certify({ ...grant, ...change }, await generateSshKey())

describe('the authority of an organisation signs', () => {
  test.each([
    ['a list of accounts', 'ops,root'],
    ['a pattern', '*'],
    ['a pattern of one character', 'op?'],
    ['nobody', ''],
    ['a name with a line end', 'ops\n'],
    ['a name with NUL', 'ops\0root'],
    ['a name of 33 characters', 'a'.repeat(33)],
    ['a name that begins like an option', '-ops'],
    ['a name in capitals', 'OPS'],
  ])('no certificate for %s', async (_, principal) => {
    expect(isPrincipal(principal)).toBe(false)
    await expect(issue({ principal })).rejects.toThrow('one plain principal')
  })

  test('none that lives longer than five minutes, or for no time at all', async () => {
    for (const validBefore of [NOW + 301, NOW + 86_400, NOW, NOW - 1, Number.POSITIVE_INFINITY, Number.NaN])
      await expect(issue({ validBefore })).rejects.toThrow('five minutes')
  })

  test('none whose words could be read as something else', async () => {
    for (const change of [{ keyId: 'a\nb' }, { keyId: '' }, { sourceAddresses: ['10.0.0.1,*'] }, { sourceAddresses: ['10.0.0.1 '] }])
      await expect(issue(change)).rejects.toThrow('plain words')
  })
})

describeWith('sshd', 'a certificate, as ssh-keygen reads it', () => {
  const read = (certificate: Uint8Array): string => {
    const directory = mkdtempSync(join(tmpdir(), 'parvis-cert-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    writeFileSync(join(directory, 'cert.pub'), `ssh-ed25519-cert-v01@openssh.com ${base64(certificate)}\n`)
    return execFileSync('ssh-keygen', ['-L', '-f', join(directory, 'cert.pub')], { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } })
  }
  /** What stands under a title: beside it, or in lines that are set in further. */
  const listed = (text: string, title: string): string[] => {
    const lines = text.split('\n')
    const at = lines.findIndex((line) => line.trim().startsWith(title))
    const rest = lines.slice(at + 1)
    const beside = (lines[at] ?? '').trim().slice(title.length).trim()
    return beside === ''
      ? rest
          .slice(
            0,
            rest.findIndex((line) => !/^ {16}/.test(line)),
          )
          .map((line) => line.trim())
      : [beside]
  }
  const moment = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19)

  test('is of one user and one account, for five minutes, with a terminal and nothing else', async () => {
    const text = read((await issue()).certificate)
    expect(text).toContain('Type: ssh-ed25519-cert-v01@openssh.com user certificate')
    expect(text).toContain(`Valid: from ${moment(NOW)} to ${moment(NOW + 300)}`)
    expect(listed(text, 'Principals:')).toEqual(['ops'])
    expect(listed(text, 'Critical Options:')).toEqual(['(none)'])
    expect(listed(text, 'Extensions:')).toEqual(['permit-pty'])
  })

  test('is of use on the way through a jump host alone, and from the addresses of the relay alone where they are known', async () => {
    const text = read((await issue({ permits: 'permit-port-forwarding', sourceAddresses: ['192.0.2.7', '2001:db8::/64'] })).certificate)
    expect(listed(text, 'Critical Options:')).toEqual(['source-address 192.0.2.7,2001:db8::/64'])
    expect(listed(text, 'Extensions:')).toEqual(['permit-port-forwarding'])
  })
})

/** The parts of a certificate, to be bent (PROTOCOL.certkeys). */
function cut(certificate: Uint8Array): Buffer[] {
  const bytes = Buffer.from(certificate)
  const sizes: (number | 'string')[] = [
    'string',
    'string',
    'string',
    8,
    4,
    'string',
    'string',
    16,
    'string',
    'string',
    'string',
    'string',
    'string',
  ]
  let at = 0
  return sizes.map((size) => {
    const length = size === 'string' ? 4 + bytes.readUInt32BE(at) : size
    at += length
    return bytes.subarray(at - length, at)
  })
}
const KIND = 4
const AUTHORITY = 11

const string = (bytes: Uint8Array | string): Buffer => {
  const content = Buffer.from(bytes as Uint8Array)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  return Buffer.concat([length, content])
}

describe('the relay shows a target', () => {
  const sealing = generateSealingKey()
  const binding = { shell: 'shl', host: 'a.example', port: 22, pins: [], jti: 'j'.repeat(16), via: [] }
  const open = async (credential: RelayCredential) => {
    const aad = await sealAad({ ...binding, relayKeyId: sealing.publicJwk.kid })
    const sealed = await sealCredential(sealing.publicJwk, aad, new TextEncoder().encode(JSON.stringify(credential)))
    return openLogin(binding, sealed, { key: sealing.privateJwk, algorithms: 'modern' })
  }
  const certificateOf = (certificate: Uint8Array, privateKey: Uint8Array): RelayCredential => ({
    kind: 'certificate',
    certificate: base64(certificate),
    privateKey: base64(privateKey),
  })

  test('a certificate of a user for its own key', async () => {
    const { certificate, privateKey } = await issue()
    const attempt = (await open(certificateOf(certificate, privateKey))).next({
      username: 'ops',
      left: [],
      isPartial: false,
      ask: undefined,
    })
    expect(attempt).toMatchObject({ type: 'agent', username: 'ops' })
  })

  test('no certificate of another kind: of a host, for another key, signed by a certificate, cut off, or with something behind it', async () => {
    const { certificate, privateKey } = await issue()
    const other = await issue()
    const parts = cut(certificate)
    const bend = (part: number, bytes: Uint8Array) => Buffer.concat(parts.map((one, at) => (at === part ? bytes : one)))
    const ecdsa = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'der', type: 'pkcs8' })
    const bad: readonly (readonly [string, RelayCredential])[] = [
      ['of a host', certificateOf(bend(KIND, Buffer.from([0, 0, 0, 2])), privateKey)],
      ['for another key', certificateOf(certificate, other.privateKey)],
      ['for a key of another kind', certificateOf(certificate, ecdsa)],
      ['signed by a certificate', certificateOf(bend(AUTHORITY, string(other.certificate)), privateKey)],
      ['of another type', certificateOf(bend(0, string('ssh-rsa-cert-v01@openssh.com')), privateKey)],
      ['that is a plain key', certificateOf((await generateSshKey()).publicKey, privateKey)],
      ['cut off', certificateOf(certificate.subarray(0, -1), privateKey)],
      ['with something behind it', certificateOf(Buffer.concat([certificate, Buffer.alloc(4)]), privateKey)],
      ['with a length beyond its end', certificateOf(Buffer.from([0xff, 0xff, 0xff, 0xff]), privateKey)],
      ['as a private key', { kind: 'private-key', privateKey: `ssh-ed25519-cert-v01@openssh.com ${base64(certificate)}` }],
    ]
    for (const [name, credential] of bad)
      expect([
        name,
        await open(credential).then(
          () => 'opened',
          ({ code }: { code: string }) => code,
        ),
      ]).toEqual([name, 'credential-invalid'])
  })
})
