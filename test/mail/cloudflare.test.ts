import { describe, expect, onTestFinished, test } from 'vitest'
import { CODE, mailTo, SENDER, startMailEdge, via } from './edge.ts'

const config = via({ kind: 'cloudflare' })

async function start(options: Parameters<typeof startMailEdge>[0] = {}) {
  const edge = await startMailEdge(options)
  onTestFinished(() => edge.close())
  return edge
}

test('the platform binding takes the mail as it was written, with a mark that is the same for every attempt', {
  timeout: 60_000,
}, async () => {
  const edge = await start()
  const message = mailTo({ subject: 'Votre code d’accès', text: `.\nCode ${CODE} é 🌊\n` })
  const sent = [await edge.ask({ config, message }), await edge.ask({ config, message })]
  expect(sent).toEqual([{ id: expect.stringMatching(/^<.+@parvis\.example>$/) }, { id: expect.stringMatching(/^<.+@parvis\.example>$/) }])
  const path = '/cdn-cgi/explorer/api/local/email/sending'
  const { result: kept } = (await edge.fetch(path)) as { result: { messageId: string; headers: Record<string, string> }[] }
  expect(kept.map(({ messageId }) => ({ id: messageId })).toReversed()).toEqual(sent)
  expect(kept[0]?.headers).toEqual({ 'Auto-Submitted': 'auto-generated', 'X-Entity-Ref-ID': expect.stringMatching(/^[0-9a-f]{32}$/) })
  expect(kept[1]?.headers).toEqual(kept[0]?.headers)
  const whole = await edge.fetch(`${path}?email_id=${encodeURIComponent(kept[0]?.messageId ?? '')}&worker=mail-test`)
  expect(whole).toMatchObject({
    result: {
      from: `"${SENDER.fromName}" <${SENDER.from}>`,
      to: ['ada@example.org'],
      subject: message.subject,
      text: message.text,
      html: message.html,
    },
  })
})

describe('the codes of the Email Service', () => {
  test('decide whether another attempt makes sense, and no word of the service is kept', { timeout: 60_000 }, async () => {
    const edge = await start({ emailService: 'email-service' })
    const outcome = async (name: string) => {
      const { kind, reason, words } = (await edge.ask({ config, message: mailTo({ to: `${name}@example.org` }) })) as Record<string, string>
      expect(words).not.toContain(CODE)
      expect(words).not.toContain('@example.org')
      return `${kind} ${reason}`
    }
    expect(await outcome('e_recipient_suppressed')).toBe('refused recipient')
    expect(await outcome('e_sender_not_verified')).toBe('refused sender')
    expect(await outcome('e_content_too_large')).toBe('refused content')
    expect(await outcome('e_rate_limit_exceeded')).toBe('retry quota')
    expect(await outcome('e_daily_limit_exceeded')).toBe('retry quota')
    expect(await outcome('e_internal_server_error')).toBe('retry server')
    expect(await outcome('e_delivery_failed')).toBe('retry server')
    expect(await outcome('e_of_next_year')).toBe('retry server')
    expect(await outcome('plain')).toBe('retry server')
  })
})
