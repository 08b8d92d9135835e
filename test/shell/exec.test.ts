import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWith } from '../requires.ts'
import { problemOf, type Rig, startRig } from './rig.ts'

describeWith('sshd', 'a waited command', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig()
  })
  afterAll(() => rig.stop())
  const exec = (command: string, timeoutSeconds = 30) =>
    rig.owner.client.execCommand({ params: { hostId: rig.host.id }, body: { command, timeoutSeconds } })

  test('answers with its output, its errors and its exit code', async () => {
    const result = await exec('echo out; echo err >&2; exit 3')
    expect(result).toMatchObject({
      exitCode: 3,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: false,
      timedOut: false,
      killed: null,
    })
  })

  test('meets no shell of ours: quotes and newlines arrive as they are', async () => {
    const result = await exec("printf '%s|' 'a b' \"$HOME\" | wc -c; printf 'x\ny'")
    expect(result.exitCode).toBe(0)
    expect(result.stdout).toMatch(/^\d+\nx\ny$/)
  })
  test('a stranger', async () => {
    const stranger = await rig.edge.signUp('stranger')
    expect(
      await problemOf(stranger.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'id', timeoutSeconds: 5 } })),
    ).toMatchObject({ slug: 'not-found' })
  })
})
