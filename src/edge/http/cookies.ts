/** One cookie by exact name. Only space and tab are trimmed: a lax parser lets a look-alike name shadow a `__Host-` one. */
export function readCookie(headers: Headers, name: string): string | undefined {
  for (const pair of (headers.get('cookie') ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).replace(/^[ \t]+|[ \t]+$/g, '') === name) return pair.slice(at + 1).replace(/^[ \t]+|[ \t]+$/g, '')
  }
  return undefined
}

/** A `__Host-` cookie scripts cannot read. Lax, because Strict would sign people out on every inbound link. */
export const hostCookie = (name: string, value: string, maxAgeSeconds: number): string =>
  `${name}=${value}; Max-Age=${maxAgeSeconds}; Path=/; Secure; HttpOnly; SameSite=Lax`
