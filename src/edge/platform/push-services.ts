/** A name, or `*.` and a name for what is under it. */
const NAME = /^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/

/** Whether a word of `PUSH_SERVICES` names a service: by a DNS name, never an address. In dev an exact origin may stand in for one. */
export const isServiceName = (word: string): boolean => NAME.test(word) || (URL.canParse(word) && new URL(word).origin === word)

/**
 * Whether we push to this URL at all. A subscription is a URL that a stranger chose and we call, so only listed services are called:
 * by name, over TLS, at their own port.
 */
export function isPushService(
  endpoint: string,
  { isDev, pushServices }: { readonly isDev: boolean; readonly pushServices: readonly string[] },
): boolean {
  if (!URL.canParse(endpoint)) return false
  const { protocol, hostname, port, origin, username, password } = new URL(endpoint)
  if (username !== '' || password !== '') return false
  if (isDev && pushServices.includes(origin)) return true
  if (protocol !== 'https:' || port !== '') return false
  return pushServices.some((name) => (name.startsWith('*.') ? hostname.endsWith(name.slice(1)) : hostname === name))
}
