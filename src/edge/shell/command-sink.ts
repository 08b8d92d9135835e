import { EXEC_OUTPUT_BYTES_MAX } from '../../contract/shell.ts'
import { type Capture, createCapture } from './capture.ts'

/** Who takes the output of a command. */
export interface Sink {
  readonly stdout: Capture
  readonly stderr: Capture
  /** More output than this ends the command. */
  readonly bytesMax: number
  /** The command has begun. */
  readonly begun: () => void
  /** Up to here there is room for output. */
  readonly roomOffset: () => number
  /** There may be room for more. */
  onRoom: () => void
}

/** More output than this is a mistake; it would also cost the object more time than an answer is worth. */
const WAITED_BYTES_MAX = 64 * 1024 * 1024

/** Keeps head and tail for whoever waits for the end. */
export const waitedSink = (): Sink => ({
  stdout: createCapture(EXEC_OUTPUT_BYTES_MAX),
  stderr: createCapture(EXEC_OUTPUT_BYTES_MAX),
  bytesMax: WAITED_BYTES_MAX,
  begun: () => undefined,
  roomOffset: () => Number.POSITIVE_INFINITY,
  onRoom: () => undefined,
})
