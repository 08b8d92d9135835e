import { applyD1Migrations, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import type { ApiKeyId } from '../../src/contract/api-keys.ts'
import type { HostId } from '../../src/contract/hosts.ts'
import type { SessionId, UserId } from '../../src/contract/identity.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import { keyringOf, type RootSecret } from '../../src/edge/platform/keyring.ts'
import { objectScope } from '../../src/edge/platform/object-scope.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { unwrapCredential, wrapCredential } from '../../src/edge/shell/credential.ts'
import { secretsProbe } from '../../src/edge/shell/probe.ts'
import { sweepSecrets } from '../../src/edge/shell/rewrap.ts'
import { createSshCaKey, issueCertificate } from '../../src/edge/shell/ssh-ca.ts'
import { OPENER, TRACEPARENT } from './shell-peer.ts'

const ORG = 'org_01jd0000000000000000000001' as OrgId
const HOST = 'hst_01jd0000000000000000000001' as HostId
const root = (version: number): RootSecret => ({ version, bytes: new Uint8Array(32).fill(version) })
const [first, second, third] = [root(1), root(2), root(3)]

/** What runs while these root secrets are listed. */
const under = <T>(secrets: readonly [RootSecret, ...RootSecret[]], work: (scope: Scope) => Promise<T>): Promise<T> =>
  runInDurableObject(env.SHELLS.getByName('rewrap'), (_, ctx) => {
    const scope = objectScope(ctx, env, TRACEPARENT)
    return work({ ...scope, config: { ...scope.config, keyring: keyringOf(secrets) } })
  })

const credentialNow = async (scope: Scope) => {
  const row = await env.DB.prepare('SELECT credential FROM hosts WHERE id = ?').bind(HOST).first<{ credential: string }>()
  return new TextDecoder().decode(await unwrapCredential(scope.config.keyring, HOST, row?.credential ?? ''))
}
const certify = (scope: Scope) => issueCertificate(scope, ORG, { keyId: 'k', principal: 'ops', permits: 'permit-pty', sourceAddresses: [] })
const faulty = (scope: Scope) => secretsProbe.check(scope)

beforeAll(async () => {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
  await env.DB.batch([
    env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, 'a@b', '', 'en', 0)").bind(OPENER),
    env.DB.prepare("INSERT INTO orgs (id, name, created_at) VALUES (?, 'x', 0)").bind(ORG),
    env.DB.prepare("INSERT INTO org_members (org_id, user_id, role, added_at) VALUES (?, ?, 'owner', 0)").bind(ORG, OPENER),
  ])
  await under([first], async (scope) => {
    const credential = await wrapCredential(scope.config.keyring, HOST, { kind: 'password', password: 'canary' })
    await env.DB.prepare(
      `INSERT INTO hosts (id, org_id, name, address, port, user, keys, credential_kind, credential, created_at, secret_version)
       VALUES (?, ?, 'web', '192.0.2.1', 22, 'ops', '[]', 'password', ?, 0, 1)`,
    )
      .bind(HOST, ORG, credential)
      .run()
    const actor = { userId: OPENER as UserId, sessionId: 'ses_x' as SessionId | ApiKeyId, expiresAt: 0, roles: [] }
    await createSshCaKey(scope, actor, ORG)
  })
})

test('after a rotation everything opens at once, the sweep moves it under the new secret, and then the old one may go', async () => {
  await under([second, first], async (scope) => {
    expect(await credentialNow(scope)).toContain('canary')
    await certify(scope)
    expect(await sweepSecrets(scope)).toBe(2)
    expect(await sweepSecrets(scope)).toBe(0)
  })
  await under([second], async (scope) => {
    expect(await credentialNow(scope)).toContain('canary')
    await certify(scope)
  })
  await under([first], async (scope) => {
    await expect(credentialNow(scope)).rejects.toThrow('cannot be opened')
    await expect(certify(scope)).rejects.toThrow()
  })
})

test('what no listed secret opens is counted once, told by health, and found again when its secret is back', async () => {
  await under([third], async (scope) => {
    await sweepSecrets(scope)
    expect(await faulty(scope)).toEqual({ ok: false, detail: '2 cannot be opened' })
    expect(await sweepSecrets(scope)).toBe(0)
  })
  const fourth = root(4)
  await under([fourth, third, second], async (scope) => {
    expect(await sweepSecrets(scope)).toBe(2)
    expect(await faulty(scope)).toEqual({ ok: true, detail: '0 cannot be opened' })
    expect(await credentialNow(scope)).toContain('canary')
    await certify(scope)
  })
})
