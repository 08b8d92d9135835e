import { API_KEY_PREFIX } from '../contract/api-keys.ts'
import type { Credentials } from './session.ts'

const SHAPE = new RegExp(`^${API_KEY_PREFIX}[0-9a-z]+$`)

/** An API key as a credential: there is nothing to refresh and nobody to sign out. @throws TypeError for what is no key */
export function keyCredentials(apiKey: string): Credentials {
  if (!SHAPE.test(apiKey)) throw new TypeError(`This is no API key: one begins with ${API_KEY_PREFIX}.`)
  const credential = { accessToken: apiKey }
  return { current: async () => credential, renew: async () => undefined, drop: async () => undefined }
}
