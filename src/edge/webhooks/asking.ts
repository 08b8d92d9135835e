import type { OrgId } from '../../contract/orgs.ts'
import type { WebhookBody, WebhookId } from '../../contract/webhooks.ts'
import type { Scope } from '../platform/scope.ts'
import { unlessAborted } from '../platform/within.ts'
import { bodyOf, type EventData, type Failure, failureOf, failureOfStatus, post } from './post.ts'
import { webhookById } from './store.ts'

/** A question to a webhook of an organisation, whose answer is waited for. */
export interface Question {
  readonly orgId: OrgId
  readonly webhookId: WebhookId
  readonly kind: WebhookBody['type']
  readonly data: EventData
  readonly deadlineMs: number
  /** A longer answer is none. */
  readonly answerBytesMax: number
}

/** What came back, as JSON, or why nothing did. */
export type Answered = { readonly answer: unknown } | { readonly failure: Failure }

/** Asks now, once, and keeps nothing of it: whoever asks decides what no answer means. */
export async function ask(scope: Scope, question: Question): Promise<Answered> {
  const signal = AbortSignal.timeout(question.deadlineMs)
  try {
    return await unlessAborted(askWithin(scope, question, signal), signal)
  } catch (error) {
    return { failure: failureOf(error) }
  }
}

async function askWithin(scope: Scope, question: Question, signal: AbortSignal): Promise<Answered> {
  const [hook] = await webhookById(scope.db, question.webhookId)
  if (hook?.orgId !== question.orgId) return { failure: 'disabled' }
  const body = bodyOf(question.kind, scope.now(), question.data)
  const answer = await post(scope, hook, { id: scope.newId('evt'), body, signal })
  if (!(answer instanceof Response)) return { failure: answer }
  const failure = failureOfStatus(answer.status)
  if (failure === null) return readAnswer(answer, question.answerBytesMax)
  await answer.body?.cancel()
  return { failure }
}

async function readAnswer(answer: Response, bytesMax: number): Promise<Answered> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  let text = ''
  let bytes = 0
  try {
    for await (const chunk of answer.body ?? []) {
      bytes += chunk.length
      if (bytes > bytesMax) return { failure: 'answer' }
      text += decoder.decode(chunk, { stream: true })
    }
    return { answer: JSON.parse(text + decoder.decode()) }
  } catch (error) {
    return { failure: error instanceof SyntaxError || error instanceof TypeError ? 'answer' : failureOf(error) }
  }
}
