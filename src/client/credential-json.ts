/** Bytes as base64url (RFC 4648 §5) without padding. */
const toBase64Url = (bytes: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

/** A credential of `navigator.credentials`, as far as it is told to the API. */
export interface SignedCredential {
  readonly id: string
  readonly type: string
  readonly rawId: ArrayBuffer
  readonly response: Pick<AuthenticatorResponse, 'clientDataJSON'> &
    (
      | (Pick<AuthenticatorAttestationResponse, 'attestationObject'> & { readonly getTransports?: () => string[] })
      | Pick<AuthenticatorAssertionResponse, 'authenticatorData' | 'signature' | 'userHandle'>
    )
}

/**
 * A credential as JSON (WebAuthn Level 3 §5.1.8), written by hand: password managers answer with objects of their own, whose `toJSON` is
 * missing or throws.
 */
export function credentialJson({ id, type, rawId, response }: SignedCredential) {
  const clientDataJSON = toBase64Url(response.clientDataJSON)
  const signed =
    'attestationObject' in response
      ? { attestationObject: toBase64Url(response.attestationObject), transports: response.getTransports?.() ?? [] }
      : {
          authenticatorData: toBase64Url(response.authenticatorData),
          signature: toBase64Url(response.signature),
          ...(response.userHandle && { userHandle: toBase64Url(response.userHandle) }),
        }
  return { id, rawId: toBase64Url(rawId), type, response: { clientDataJSON, ...signed } }
}
