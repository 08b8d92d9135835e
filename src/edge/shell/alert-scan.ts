import type { AlertRule } from '../../contract/shell-policy.ts'

/** A line that is longer is looked at in pieces that overlap by the longest rule. */
const LINE_CHARS_MAX = 4_096
/** One alert of a rule within this time; a program that prints it for ever is told of once. */
export const ALERT_QUIET_MS = 60_000

/** Looks for words in what a terminal shows. */
export interface AlertScan {
  /** The rules that this output meets for the first time in a while. */
  push(bytes: Uint8Array, now: number): readonly AlertRule[]
}

// What moves the cursor or sets colours is no part of what is read: CSI and OSC sequences, two-byte escapes, and control characters.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
const CONTROLS = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]|[\u0000-\u0009\u000b-\u001f\u007f]/g

/** A scan that remembers the line that is not finished and when each rule was last met. */
export function createAlertScan(rules: readonly AlertRule[]): AlertScan {
  const decoder = new TextDecoder()
  const toldAt = new Map<AlertRule, number>()
  const keep = Math.max(0, ...rules.map(({ text }) => text.length)) + 64
  let line = ''

  return {
    push(bytes, now) {
      if (rules.length === 0) return []
      line += decoder.decode(bytes, { stream: true })
      const read = line.replace(CONTROLS, '')
      const met = rules.filter((rule) => read.includes(rule.text) && now - (toldAt.get(rule) ?? Number.NEGATIVE_INFINITY) >= ALERT_QUIET_MS)
      for (const rule of met) toldAt.set(rule, now)
      const end = line.lastIndexOf('\n')
      line = line.slice(end + 1)
      if (line.length > LINE_CHARS_MAX) line = line.slice(-keep)
      return met
    },
  }
}
