import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClient, type ShellView } from '../../src/client/client.ts'
import { PASSWORD } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { type Rig, startRig } from '../shell/rig.ts'
import { startLine } from './line.ts'
import { soon } from './service.ts'
import { seeded } from './shell-peer.ts'

/** Comes before the program that sends back what it is sent, and after the shell's own words. */
const MARK = 'ready-to-echo'

describeWith('sshd', 'a real shell over a line that is cut', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig()
  })
  afterAll(() => rig.stop())

  test('gets every keystroke once and gives every byte once', { timeout: 120_000 }, async () => {
    const random = seeded(20)
    const line = await startLine(rig.edge.origin)
    const client = createClient({ origin: line.origin })
    await client.login({ body: { email: rig.owner.email, password: PASSWORD } })
    const seen: Uint8Array[] = []
    const view: ShellView = await client.shells.open({ body: { hostId: rig.host.id } }, { output: (bytes) => void seen.push(bytes) })
    const text = () => Buffer.concat(seen).toString('latin1')
    view.write(`stty raw -echo; printf '%s-%s' ready-to echo; exec cat\n`)
    await soon(() => text().includes(MARK)).toBe(true)
    const connections = { count: 0 }
    view.on('attached', () => {
      connections.count++
    })
    let typed = ''
    for (let i = 0; i < 400; i++) {
      const words = `${i}:${'x'.repeat(Math.floor(random() * 300))}\n`
      typed += words
      view.write(words)
      if (i % 40 === 39) {
        line.cut()
        await new Promise((resolve) => setTimeout(resolve, random() * 700))
      }
    }
    await view.delivered()
    const echoed = () => text().slice(text().indexOf(MARK) + MARK.length)
    await soon(() => echoed().length).toBe(typed.length)
    expect(echoed() === typed).toBe(true)
    expect(connections.count).toBeGreaterThan(2)
    await view.end()
    expect((await view.finished()).state).toBe('closed')
    client.close()
    line.stop()
  })
})
