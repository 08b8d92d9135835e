/** Eight digits between marks, in 64 bytes: found in a frame without reading it. */
export const marked = (n: number): string => `#${String(n).padStart(8, '0')}#`.padEnd(64, '.')

const MARK = 0x23

/** Calls back for every mark in a frame. */
export function marksIn(frame: Uint8Array, found: (n: number) => void): void {
  for (let at = frame.indexOf(MARK); at >= 0 && at + 9 < frame.length; at = frame.indexOf(MARK, at + 1)) {
    if (frame[at + 9] !== MARK) continue
    let n = 0
    for (let i = 1; i <= 8; i++) n = n * 10 + ((frame[at + i] ?? 0) - 48)
    found(n)
    at += 9
  }
}
