import { sealedColumn, type UnderSecret, versionIn } from '../platform/root-secrets.ts'
import { TOTP_PURPOSE } from './factor-proof.ts'
import { spellPepper } from './phc.ts'

const KEYID = "instr(password_hash, ',keyid=') + 7"

/** What of identity works under the root secret it was made with. A password moves when its owner signs in, a signing key is followed by one. */
export const IDENTITY_SECRETS: readonly UnderSecret[] = [
  sealedColumn('authenticator apps', 'totp_factors', { column: 'secret', key: 'user_id', purpose: TOTP_PURPOSE }),
  {
    what: 'passwords',
    table: 'users',
    version: `substr(password_hash, ${KEYID}, instr(substr(password_hash, ${KEYID}), '$') - 1)`,
    spell: spellPepper,
  },
  { what: 'recovery codes', table: 'recovery_codes', version: versionIn('code_mac') },
  { what: 'signing keys', table: 'signing_keys', version: versionIn('private_jwk') },
]
