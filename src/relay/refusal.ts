import type { HostKeyPin } from '../contract/krp.ts'
import { OPEN_PROBLEMS, type OpenProblem } from '../contract/krp-problem.ts'

/** A host key as the target presented it: its pin, and the key itself in base64. */
export interface PresentedKey extends HostKeyPin {
  readonly publicKey: string
}

/** An expected end of an OPEN or ATTACH: its code becomes OPEN_FAIL, its key HOSTKEY. It never quotes what the target sent. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: OpenProblem
  readonly presented: PresentedKey | undefined
  /** The index of the jump host where it happened; absent: at the target. */
  readonly jump: number | undefined
  constructor(code: OpenProblem, presented?: PresentedKey, jump?: number) {
    super(OPEN_PROBLEMS[code])
    this.code = code
    this.presented = presented
    this.jump = jump
  }
  /** The same, on the way instead of at the end. */
  at(jump: number): Refusal {
    return new Refusal(this.code, this.presented, jump)
  }
}
