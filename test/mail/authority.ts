import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** A certificate authority that lives as long as the test, and one server certificate of it. */
export interface Authority {
  readonly authority: string
  readonly key: string
  readonly cert: string
}

const DAY_MS = 86_400_000
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'

/** Makes an authority and a certificate for these DNS names. Certificates after RFC 5280, in DER by hand: Node can only read them. */
export function createAuthority(names: readonly string[]): Authority {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = { name: 'Parvis test authority', key: root.privateKey }
  const mayIssue = extension('2.5.29.19', sequence(der(0x01, Buffer.from([0xff]))))
  const isNamed = extension('2.5.29.17', sequence(...names.map((name) => der(0x82, Buffer.from(name)))))
  return {
    authority: certify({ subject: issuer.name, publicKey: root.publicKey, issuer, extensions: [mayIssue], serial: 1 }),
    cert: certify({ subject: names[0] ?? '', publicKey: leaf.publicKey, issuer, extensions: [isNamed], serial: 2 }),
    key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

interface Claim {
  readonly subject: string
  readonly publicKey: KeyObject
  readonly issuer: { readonly name: string; readonly key: KeyObject }
  readonly extensions: readonly Buffer[]
  readonly serial: number
}

function certify({ subject, publicKey, issuer, extensions, serial }: Claim): string {
  const algorithm = sequence(objectId(ECDSA_WITH_SHA256))
  const claim = sequence(
    der(0xa0, integer(2)),
    integer(serial),
    algorithm,
    commonName(issuer.name),
    sequence(time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', claim, issuer.key)])
  const base64 = sequence(claim, algorithm, der(0x03, signature)).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...items: readonly Buffer[]) => der(0x30, Buffer.concat(items))
const integer = (value: number) => der(0x02, Buffer.from([value]))
const commonName = (name: string) => sequence(der(0x31, sequence(objectId('2.5.4.3'), der(0x0c, Buffer.from(name)))))
const extension = (id: string, value: Buffer) => sequence(objectId(id), der(0x04, value))
const time = (at: number) => der(0x17, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  return value < 128 ? [value] : [...base128(Math.floor(value / 128)).map((byte) => byte | 0x80), value % 128]
}
