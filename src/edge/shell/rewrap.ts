import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { rewrapCredential } from './credential.ts'
import { markCaKey, markCredential, putCaKey, putCredential, staleCaKeys, staleCredentials } from './secret-store.ts'
import { rewrapCaKey } from './ssh-ca.ts'

/** Secrets of one sweep; an organisation's thousand hosts take twenty minutes. */
const SECRETS_PER_SWEEP = 50

/**
 * Brings stored secrets under the newest root secret, after which an older one may leave the list. What no listed one opens is marked and told,
 * and looked at again when the list has a newer one.
 */
export async function sweepSecrets(scope: Scope): Promise<number> {
  const { version } = scope.config.keyring
  const hosts = await staleCredentials(scope.db, version, SECRETS_PER_SWEEP)
  for (const host of hosts) {
    await attempt(scope, host.id, {
      rewrap: () => rewrapCredential(scope.config.keyring, host),
      put: (credential) => putCredential(scope.db, host, { credential, version }),
      mark: () => markCredential(scope.db, host.id, version),
    })
  }
  const keys = await staleCaKeys(scope.db, version, SECRETS_PER_SWEEP)
  for (const key of keys) {
    await attempt(scope, key.id, {
      rewrap: () => rewrapCaKey(scope, key),
      put: (privateKey) => putCaKey(scope.db, key, { privateKey, version }),
      mark: () => markCaKey(scope.db, key.id, version),
    })
  }
  return hosts.length + keys.length
}

interface Work {
  readonly rewrap: () => Promise<string>
  readonly put: (box: string) => PromiseLike<unknown>
  readonly mark: () => PromiseLike<unknown>
}

async function attempt(scope: Scope, id: string, { rewrap, put, mark }: Work): Promise<void> {
  const box = await rewrap().catch((error: unknown) => {
    scope.log('secret.closed', { id, ...describeError(error) })
    return undefined
  })
  await (box === undefined ? mark() : put(box))
}
