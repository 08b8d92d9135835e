import type { Place } from '../../contract/sessions.ts'

/** What a request tells of the device that sends it. */
export interface Device {
  readonly browser: string | null
  readonly system: string | null
  readonly country: string | null
  readonly city: string | null
}

type Marks = readonly (readonly [mark: string, name: string])[]

/** Longer than any real one; the rest is not read. */
const USER_AGENT_CHARS_MAX = 512

/** The first mark that is found decides: browsers also name those they descend from. */
const BROWSERS: Marks = [
  ['Electron/', 'Desktop app'],
  ['Edg', 'Edge'],
  ['OPR/', 'Opera'],
  ['Vivaldi/', 'Vivaldi'],
  ['SamsungBrowser/', 'Samsung Internet'],
  ['YaBrowser/', 'Yandex Browser'],
  ['FxiOS/', 'Firefox'],
  ['Firefox/', 'Firefox'],
  ['CriOS/', 'Chrome'],
  ['Chrome/', 'Chrome'],
  ['Safari/', 'Safari'],
  ['curl/', 'curl'],
  ['Deno/', 'Deno'],
  ['Bun/', 'Bun'],
  ['node', 'Node.js'],
]

const SYSTEMS: Marks = [
  ['Windows', 'Windows'],
  ['iPhone', 'iOS'],
  ['iPad', 'iPadOS'],
  ['Android', 'Android'],
  ['CrOS', 'ChromeOS'],
  ['Macintosh', 'macOS'],
  ['Linux', 'Linux'],
]

const nameIn = (marks: Marks, userAgent: string): string | null => marks.find(([mark]) => userAgent.includes(mark))?.[1] ?? null

/** Cloudflare says XX for what it does not know. */
const COUNTRY = /^(?!XX$)[A-Z][A-Z0-9]$/
const CITY = /^\P{C}{1,100}$/u

/** Where a request comes from, as the edge itself says: no header of the client has a part in it. */
function placeOf(request: Pick<Request, 'cf'>): Place | null {
  const { country, city } = (request.cf ?? {}) as { readonly country?: unknown; readonly city?: unknown }
  if (typeof country !== 'string' || !COUNTRY.test(country)) return null
  return { country, city: typeof city === 'string' && CITY.test(city) ? city : null }
}

/** The device behind a request. What it says of itself helps its owner to recognise it, and decides nothing. */
export function deviceOf(request: Pick<Request, 'headers' | 'cf'>): Device {
  const userAgent = (request.headers.get('user-agent') ?? '').slice(0, USER_AGENT_CHARS_MAX)
  const { country, city } = placeOf(request) ?? { country: null, city: null }
  return { browser: nameIn(BROWSERS, userAgent), system: nameIn(SYSTEMS, userAgent), country, city }
}
