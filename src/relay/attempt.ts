import type { AnyAuthMethod, Client } from 'ssh2'
import type { Prompts } from '../contract/krp.ts'

/** Asks a person; nothing when nobody answered. */
export type Ask = (prompts: Prompts) => Promise<readonly string[] | undefined>

/** Asks for the jump host at this index, or for the target. */
export type AskFor = (jump?: number) => Ask

/** What the target has said of our attempts so far. */
export interface Turn {
  readonly username: string
  /** Methods that may go on; empty before the first attempt. */
  readonly left: readonly string[]
  /** The attempt before was right, and the target wants more. */
  readonly isPartial: boolean
  readonly ask: Ask | undefined
}

/** A way to log in, usable once; `wipe` overwrites what can be overwritten and drops the rest. */
export interface Login {
  /** The next attempt for ssh2, or false when there is none. */
  next(turn: Turn): AnyAuthMethod | false
  /** Prepares the client for what ssh2 does not know. */
  equip?(client: Client): void
  wipe(): void
}
