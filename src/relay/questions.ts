import * as z from 'zod'
import { ANSWER_CHARS_MAX, type ControlBody, type GrantClaims, PROMPT_SECONDS_MAX, PROMPTS_MAX, type Prompts } from '../contract/krp.ts'
import { type SealingPrivateJwk, viaOf } from '../contract/seal.ts'
import type { AskFor } from './attempt.ts'
import type { StreamPort } from './port.ts'
import { openCredential } from './unseal.ts'

/** Questions of one stream that is being opened. */
export interface Questions {
  /** Asks on behalf of a grant's hosts. */
  ask(claims: GrantClaims): AskFor
  /** Takes an answer; one to a question that is not open any more is dropped. */
  take(answer: ControlBody<'ANSWER'>): void
}

/** More rounds than this are no login. */
const ROUNDS_MAX = 16
const Answers = z.array(z.string().max(ANSWER_CHARS_MAX)).max(PROMPTS_MAX)

/** Carries a target's questions to the dialer, one round at a time, and its sealed answers back. */
export function createQuestions({ port, key }: { readonly port: StreamPort; readonly key: SealingPrivateJwk }): Questions {
  let rounds = 0
  let open: { readonly id: number; readonly settle: (answer: ControlBody<'ANSWER'> | undefined) => void } | undefined

  const waitFor = (prompts: Prompts & { readonly jump?: number }): Promise<ControlBody<'ANSWER'> | undefined> => {
    rounds += 1
    const id = rounds
    return new Promise((resolve) => {
      const timer = setTimeout(() => open?.settle(undefined), PROMPT_SECONDS_MAX * 1000)
      open = {
        id,
        settle(answer) {
          clearTimeout(timer)
          open = undefined
          resolve(answer)
        },
      }
      port.send('PROMPT', { id, ...prompts })
    })
  }
  return {
    ask: (claims) => (jump) => async (prompts) => {
      if (open !== undefined || rounds >= ROUNDS_MAX) return undefined
      const answer = await waitFor(jump === undefined ? prompts : { ...prompts, jump })
      if (answer === undefined) return undefined
      const answers = openAnswers({ claims, jump, key }, answer)
      return answers?.length === prompts.prompts.length ? answers : undefined
    },
    take(answer) {
      if (answer.id === open?.id) open.settle(answer)
    },
  }
}

interface Asking {
  readonly claims: GrantClaims
  readonly jump: number | undefined
  readonly key: SealingPrivateJwk
}

/** What is sealed for the host that asks, and for no other on the way; nothing where it is not. */
function openAnswers({ claims, jump, key }: Asking, { id, answers }: ControlBody<'ANSWER'>): readonly string[] | undefined {
  const { request, shell } = claims
  const { jumps = [] } = request
  const at = jump === undefined ? request : jumps[jump]
  if (at === undefined) return undefined
  const pins = 'pins' in at ? at.pins : []
  const binding = { shell, host: at.host, port: at.port, pins, via: viaOf(jumps, jump), jti: `${claims.jti} prompt ${id}` }
  let plaintext: Buffer | undefined
  try {
    plaintext = openCredential(key, binding, answers)
    return Answers.parse(JSON.parse(plaintext.toString('utf8')))
  } catch {
    return undefined
  } finally {
    plaintext?.fill(0)
  }
}
