/** From this many units on, wait this long. `Infinity`: until somebody resets it. */
export interface Step {
  readonly count: number
  readonly seconds: number
}

/**
 * How a budget is spent. Without `forgetSeconds` it is a window: the one step's units, and as many again once its seconds
 * have passed since the first. With it, units are counted until a success or that long a quiet, and each unit from
 * a step on costs that step's wait.
 */
export interface Rule {
  readonly steps: readonly [Step, ...Step[]]
  readonly forgetSeconds?: number
}

const DAY_SECONDS = 86_400

/** What a network as a whole may spend for one of its prefixes: enough for many homes, too little to make rotating pay. */
export const NETWORK_FACTOR = 10

/** Every budget of the product, by name. `LIMITS` changes numbers, never what is counted. */
export const DEFAULT_LIMITS = {
  /**
   * Failed sign-ins of one account from one place. Five, then waits that grow as rauthy's do (its `login_delay.rs`: 10 min,
   * 15 min, 1 h, 24 h), each a little earlier: passwords here are long, so five honest mistakes are many.
   */
  login: {
    steps: [
      { count: 5, seconds: 300 },
      { count: 10, seconds: 900 },
      { count: 15, seconds: 3_600 },
      { count: 20, seconds: DAY_SECONDS },
    ],
    forgetSeconds: DAY_SECONDS,
  },
  /** Sign-ins from one place to accounts that never signed in there: one password tried on many accounts. A class on its first day fits. */
  'login-place': { steps: [{ count: 100, seconds: 600 }] },
  /**
   * Failed sign-ins of one account from all places where it never signed in: NIST SP 800-63B-4 §3.2.2, waits "from 30 seconds up to
   * an hour" on the way to at most 100 consecutive failures. Twenty are free, so that a thief's own ladder bites first.
   */
  'login-account': {
    steps: [
      { count: 20, seconds: 30 },
      { count: 30, seconds: 60 },
      { count: 40, seconds: 120 },
      { count: 50, seconds: 300 },
      { count: 60, seconds: 600 },
      { count: 70, seconds: 1_200 },
      { count: 80, seconds: 1_800 },
      { count: 90, seconds: 3_600 },
      { count: 100, seconds: Number.POSITIVE_INFINITY },
    ],
    forgetSeconds: 30 * DAY_SECONDS,
  },
  /**
   * Wrong second factors of one account in a row, whoever's sign-in or session they are of: only somebody with its first factor gets to
   * try at all. Better Auth closes ten for 15 minutes; here the waits grow, so that a code is not guessed in years.
   */
  factor: {
    steps: [
      { count: 10, seconds: 900 },
      { count: 15, seconds: 3_600 },
      { count: 20, seconds: DAY_SECONDS },
    ],
    forgetSeconds: 30 * DAY_SECONDS,
  },
  /** Registrations, each of which costs a hash and a mail; GoTrue's 30 an hour and address. */
  register: { steps: [{ count: 30, seconds: 3_600 }] },
  /** A fuse: what strangers may make us mail in an hour, whatever they own. Set it to what the mail provider allows. */
  'register-global': { steps: [{ count: 5_000, seconds: 3_600 }] },
  /** Mails to owners of accounts, to sign in or to choose a new password, asked for from one place. */
  mail: { steps: [{ count: 30, seconds: 3_600 }] },
  /** A fuse of their own: who blows the other stops no way in. */
  'mail-global': { steps: [{ count: 5_000, seconds: 3_600 }] },
  /**
   * Second factors and passkeys from one place, for what they cost. No fuse: a waiting sign-in has five tries, its account its ladder, and
   * a passkey is not guessed, so that one would only be there to be blown.
   */
  'factor-place': { steps: [{ count: 1_200, seconds: 600 }] },
  /** Codes tried from one place; each code has its own five tries besides. */
  code: { steps: [{ count: 60, seconds: 600 }] },
  /** A fuse, at about a tenth of what one database answers. */
  'code-global': { steps: [{ count: 30_000, seconds: 600 }] },
  /** Changes by one user: a script that works hard passes, one that runs away does not. */
  write: { steps: [{ count: 600, seconds: 60 }] },
  /** Twenties of messages by one user, in all rooms: 1,200 a minute. */
  messages: { steps: [{ count: 60, seconds: 60 }] },
  /** Scans of hosts for one organisation: each dials an address of its choice, so that many would map a network. */
  scan: { steps: [{ count: 120, seconds: 3_600 }] },
} as const satisfies Readonly<Record<string, Rule>>

/** The name of a budget. */
export type BudgetName = keyof typeof DEFAULT_LIMITS
/** The rule of every budget. */
export type Limits = Readonly<Record<BudgetName, Rule>>

/** Ten years of seconds: beyond it a wait is no wait. */
const SECONDS_MAX = 10 * 365 * DAY_SECONDS
const COUNT_MAX = 1_000_000_000
const STEP = /^([1-9]\d{0,9})\/([1-9]\d{0,8}|never)$/

function stepOf(text: string): Step | undefined {
  const [, count, seconds] = STEP.exec(text) ?? []
  if (!count || !seconds) return undefined
  const step = { count: Number(count), seconds: seconds === 'never' ? Number.POSITIVE_INFINITY : Number(seconds) }
  return step.count <= COUNT_MAX && (seconds === 'never' || step.seconds <= SECONDS_MAX) ? step : undefined
}

/** A longer list has higher counts and no shorter waits; a window has one step, and it ends. */
function isSound(rule: Rule): boolean {
  const isGrowing = rule.steps.every((step, i) => {
    const before = rule.steps[i - 1]
    return !before || (step.count > before.count && step.seconds >= before.seconds)
  })
  return isGrowing && (rule.forgetSeconds !== undefined || (rule.steps.length === 1 && Number.isFinite(rule.steps[0].seconds)))
}

/**
 * Reads `LIMITS`: budgets apart by spaces, each `name=count/seconds`, or `name=5/300,10/900` where waits grow, or `…,100/never`.
 * Answers the whole table, or nothing when a word of it is wrong.
 */
export function parseLimits(text: string): Limits | undefined {
  const limits: Record<string, Rule> = { ...DEFAULT_LIMITS }
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const [name = '', list = '', ...more] = word.split('=')
    const [first, ...rest] = list.split(',').map(stepOf)
    const others = rest.filter((step) => step !== undefined)
    const default_ = Object.hasOwn(DEFAULT_LIMITS, name) ? limits[name] : undefined
    if (!default_ || !first || others.length < rest.length || more.length > 0) return undefined
    const rule: Rule = { ...default_, steps: [first, ...others] }
    if (!isSound(rule)) return undefined
    limits[name] = rule
  }
  return limits as Limits
}
