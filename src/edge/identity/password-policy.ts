import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
/** What a new password is measured against. Length is the contract's business. */
export interface PasswordContext {
  readonly productName: string
  readonly email: string
  /** Well-known passwords in lower case. */
  readonly common: ReadonlySet<string>
}

/** Similarity costs the product of both lengths, and folding can lengthen a text, so both are cut before and after it. */
const COMPARED_CHARS_MAX = 256
/** Shorter words of the context are in too many innocent phrases to forbid wherever they stand. */
const FORBIDDEN_CHARS_MIN = 5
const PIECE_CHARS_MIN = 3
const PIECE_CHARS_MAX = 24
/** A phrase of three pieces has more combinations than anybody guesses online; of two it has as many as one cracked hash costs. */
const PIECES_MIN = 3
/** A year or a PIN at either end, which every cracking rule adds. */
const EDGE_DIGITS_MAX = 4
const DISTINCT_CHARS_MIN = 5
/** Letters and digits that stand for others; the digit 1 for either of two. */
const LEET: Readonly<Record<string, string>> = {
  '@': 'a',
  '4': 'a',
  '8': 'b',
  '3': 'e',
  '6': 'g',
  '!': 'i',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't',
}

/** Rows and columns of keyboards, the alphabet and the digits, each also backwards. */
const RUNS = [
  'abcdefghijklmnopqrstuvwxyz',
  '0123456789'.repeat(3),
  'qwertyuiopasdfghjklzxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
  'qwertzuiopasdfghjklyxcvbnm',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  'qazwsxedcrfvtgbyhnujmikolp',
  '1q2w3e4r5t6y7u8i9o0p',
  'a1b2c3d4e5f6g7h8i9j0',
  '1a2b3c4d5e6f7g8h9i0j',
].flatMap((row) => [row, [...row].toReversed().join('')])
const RUN_CHARS_MIN = 3

const fold = (text: string): string => text.slice(0, COMPARED_CHARS_MAX).normalize('NFKC').toLowerCase().slice(0, COMPARED_CHARS_MAX)

const compact = (text: string): string => text.replace(/[^\p{L}\p{N}]+/gu, '')

const unleet = (text: string, one: 'i' | 'l'): string => text.replace(/[@4836!0$571]/g, (c) => (c === '1' ? one : (LEET[c] ?? c)))

/** The length of the shortest beginning that the whole text repeats (the last time perhaps in part). */
function periodOf(text: string): number {
  const borders: number[] = [0]
  for (let i = 1, length = 0; i < text.length; i++) {
    while (length > 0 && text[i] !== text[length]) length = borders[length - 1] ?? 0
    if (text[i] === text[length]) length++
    borders.push(length)
  }
  return text.length - (borders.at(-1) ?? 0)
}

function runLength(text: string, from: number): number {
  let length = 0
  while (from + length < text.length) {
    const next = text.slice(from, from + length + 1)
    const isSame = new Set(next).size === 1
    if (!isSame && !RUNS.some((run) => run.includes(next))) break
    length++
  }
  return length
}

/** Words that a guesser tries first: those everybody uses, and those about this very person, which add nothing. */
interface Vocabulary {
  readonly common: ReadonlySet<string>
  readonly own: ReadonlySet<string>
}

/** How many well-known pieces, at least, the text is made of; a character that belongs to none counts as one. */
function piecesOf(text: string, { common, own }: Vocabulary): number {
  const fewest = [0]
  for (let from = 0; from < text.length; from++) {
    const before = fewest[from] ?? Number.POSITIVE_INFINITY
    const reach = (length: number, cost: 0 | 1) => {
      fewest[from + length] = Math.min(fewest[from + length] ?? Number.POSITIVE_INFINITY, before + cost)
    }
    reach(1, 1)
    for (let length = runLength(text, from); length >= RUN_CHARS_MIN; length--) reach(length, 1)
    for (let length = PIECE_CHARS_MIN; length <= Math.min(PIECE_CHARS_MAX, text.length - from); length++) {
      const piece = text.slice(from, from + length)
      if (own.has(piece)) reach(length, 0)
      else if (common.has(piece)) reach(length, 1)
    }
  }
  return fewest[text.length] ?? 0
}

const EDGES = new RegExp(`^\\d{0,${EDGE_DIGITS_MAX}}(?=\\D)|(?<=\\D)\\d{0,${EDGE_DIGITS_MAX}}$`, 'g')

/** Whether the whole text, or what it repeats, is made of next to nothing unknown. */
function isGuessable(text: string, vocabulary: Vocabulary): boolean {
  const period = periodOf(text)
  const core = text.length >= 2 * period ? text.slice(0, period) : text.replace(EDGES, '')
  return core.length > 0 && piecesOf(core, vocabulary) < PIECES_MIN
}

/** Longest common substring, as two rows of the usual table. */
function longestShared(a: string, b: string): number {
  let longest = 0
  let above = new Uint16Array(b.length + 1)
  for (const char of a) {
    const row = new Uint16Array(b.length + 1)
    for (let j = 0; j < b.length; j++) {
      if (char !== b[j]) continue
      const length = (above[j] ?? 0) + 1
      row[j + 1] = length
      if (length > longest) longest = length
    }
    above = row
  }
  return longest
}

const partsOf = (text: string): readonly string[] => text.split(/[^\p{L}\p{N}]+/u).filter((part) => part.length >= PIECE_CHARS_MIN)

/**
 * Why a new password is refused, in words for whoever chose it; nothing when it may stand. The whole password is compared,
 * with what is commonly made of known ones: in other spelling, repeated, joined in pairs, with digits around (NIST SP 800-63B-4 §3.1.1.2).
 */
export function refusalOf(password: string, { productName, email, common }: PasswordContext): string | undefined {
  const folded = fold(password)
  const plain = compact(folded)
  const spellings = new Set([plain, compact(unleet(folded, 'i')), compact(unleet(folded, 'l'))])
  const [product, address] = [fold(productName), fold(email)]
  const [mailbox = ''] = address.split('@')
  const contains = (word: string) => word.length >= FORBIDDEN_CHARS_MIN && [...spellings].some((s) => s.includes(word))
  if (new Set(folded).size < DISTINCT_CHARS_MIN) return ACCOUNT_FAULTS.passwordRepeats
  if (contains(compact(product))) return ACCOUNT_FAULTS.passwordService
  if (contains(compact(mailbox))) return ACCOUNT_FAULTS.passwordAddress
  if (2 * longestShared(plain, compact(address)) >= Math.max(plain.length, 1)) return ACCOUNT_FAULTS.passwordLikeAddress
  const own = new Set([...partsOf(product), ...partsOf(address), compact(product), compact(mailbox)])
  if (common.has(folded) || [...spellings].some((s) => common.has(s))) return ACCOUNT_FAULTS.passwordCommon
  if ([...spellings].some((s) => isGuessable(s, { common, own }))) return ACCOUNT_FAULTS.passwordPieces
  return undefined
}
