/** One replacement in a text; offsets are UTF-16 units. */
export interface Change {
  readonly at: number
  readonly removed: number
  readonly inserted: string
}

/** One step of a Y.Text delta, as far as plain text goes. */
export interface DeltaStep {
  readonly retain?: number | undefined
  readonly delete?: number | undefined
  readonly insert?: string | object | undefined
}

/** Two ends of a selection; equal ends are a caret. */
export interface Selection {
  readonly start: number
  readonly end: number
}

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff
const splitsPair = (text: string, at: number) => isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at))

/**
 * The smallest replacement that turns `before` into `after`. In a run of equal characters many places explain the same edit; the caret
 * tells which one was meant, so another user's edit beside it lands on the right side. A surrogate pair is never cut.
 */
export function changeBetween(before: string, after: string, caret: number): Change | undefined {
  if (before === after) return undefined
  const headMax = Math.min(before.length, after.length, Math.max(0, caret - Math.max(0, after.length - before.length)))
  let head = 0
  while (head < headMax && before[head] === after[head]) head++
  const tailMax = Math.min(before.length, after.length) - head
  let tail = 0
  while (tail < tailMax && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++
  if (splitsPair(before, head) || splitsPair(after, head)) head--
  if (tail > 0 && (splitsPair(before, before.length - tail) || splitsPair(after, after.length - tail))) tail--
  return { at: head, removed: before.length - tail - head, inserted: after.slice(head, after.length - tail) }
}

/** A delta as replacements, each against the text that the ones before it left. */
export function changesOf(delta: readonly DeltaStep[]): Change[] {
  const changes: Change[] = []
  let at = 0
  for (const step of delta) {
    if (step.retain !== undefined) at += step.retain
    else if (step.delete !== undefined) changes.push({ at, removed: step.delete, inserted: '' })
    else if (typeof step.insert === 'string') {
      changes.push({ at, removed: 0, inserted: step.insert })
      at += step.insert.length
    }
  }
  return changes
}

/** Where an offset goes. At the very place of an insertion it stays before it, unless `sticksRight`. */
function moveOffset(offset: number, { at, removed, inserted }: Change, sticksRight: boolean): number {
  if (offset < at || (offset === at && !(sticksRight && removed === 0))) return offset
  if (offset < at + removed) return at
  return offset - removed + inserted.length
}

/** Where a selection goes when somebody else changes the text: it keeps exactly the characters it held. */
export function moveSelection({ start, end }: Selection, change: Change): Selection {
  const isCaret = start === end
  const moved = moveOffset(start, change, !isCaret)
  return { start: moved, end: isCaret ? moved : Math.max(moved, moveOffset(end, change, false)) }
}

/** Text areas hold `\n` alone, so a document's `\r\n` is one unit shorter there. */
export const asShown = (text: string): string => text.replace(/\r\n?/g, '\n')

/** The document's offset of an offset in what is shown. */
export function documentOffset(text: string, shown: number): number {
  let at = text.indexOf('\r\n')
  let offset = shown
  for (let pairs = 0; at !== -1 && at - pairs < shown; pairs++) {
    offset++
    at = text.indexOf('\r\n', at + 2)
  }
  return offset
}
