import { expect, test } from 'vitest'
import { credentialJson } from '../../src/client/credential-json.ts'
import { PasskeyAssertion, PasskeyAttestation } from '../../src/contract/webauthn.ts'

const bytes = (...values: number[]) => Uint8Array.from(values).buffer
const common = { id: '-_8', type: 'public-key', rawId: bytes(0xfb, 0xff) }

test('what a password manager made is told as what a browser makes, though it cannot write itself as JSON', () => {
  const made = {
    ...common,
    response: { clientDataJSON: bytes(1), attestationObject: bytes(2, 3), getTransports: () => ['internal'] },
    toJSON() {
      throw new TypeError('Illegal invocation')
    },
  }
  expect(PasskeyAttestation.parse(credentialJson(made))).toEqual({
    id: '-_8',
    rawId: '-_8',
    type: 'public-key',
    response: { clientDataJSON: 'AQ', attestationObject: 'AgM', transports: ['internal'] },
  })
  const { getTransports: _, ...response } = made.response
  expect(PasskeyAttestation.parse(credentialJson({ ...common, response })).response.transports).toEqual([])
})

test('what it signed is told with the user it is of, or without', () => {
  const response = { clientDataJSON: bytes(1), authenticatorData: bytes(2), signature: bytes(3), userHandle: bytes(4) }
  const told = { clientDataJSON: 'AQ', authenticatorData: 'Ag', signature: 'Aw' }
  expect(PasskeyAssertion.parse(credentialJson({ ...common, response })).response).toEqual({ ...told, userHandle: 'BA' })
  expect(PasskeyAssertion.parse(credentialJson({ ...common, response: { ...response, userHandle: null } })).response).toEqual(told)
})
