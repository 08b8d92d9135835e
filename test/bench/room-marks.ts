/** Eight digits between marks, in 64 bytes: found in a frame without reading it. */
export const marked = (n: number): string => `#${String(n).padStart(8, '0')}#`.padEnd(64, '.')

const MARK = 0x23
const ZERO = 0x30
const DIGITS = 8

/** The number after a mark's start, or nothing where other bytes only look like one. */
function numberAt(frame: Uint8Array, at: number): number | undefined {
  if (frame[at + DIGITS + 1] !== MARK) return undefined
  let n = 0
  for (let i = 1; i <= DIGITS; i++) {
    const digit = (frame[at + i] ?? 0) - ZERO
    if (digit < 0 || digit > 9) return undefined
    n = n * 10 + digit
  }
  return n
}

/** Calls back for every mark in a frame. */
export function marksIn(frame: Uint8Array, found: (n: number) => void): void {
  for (let at = frame.indexOf(MARK); at >= 0; at = frame.indexOf(MARK, at + 1)) {
    const n = numberAt(frame, at)
    if (n === undefined) continue
    found(n)
    at += DIGITS + 1
  }
}
