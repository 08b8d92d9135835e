import type { ControlBody, ControlName } from '../contract/krp.ts'
import type { OutputRun } from './ring.ts'

/** One stream of a live link, as a shell sees it. A shell changes ports when its dialer comes back on another link. */
export interface StreamPort {
  send<N extends ControlName>(name: N, body: ControlBody<N>): void
  sendOutput(run: OutputRun): void
  /** False while the link has more to send than its peer takes. */
  isWritable(): boolean
}
