import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CommandRecord, CommandsQuery } from '../../src/contract/commands.ts'
import { describeWith } from '../requires.ts'
import { problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

describeWith('sshd', 'the command log', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig()
  })
  afterAll(() => rig.stop())

  const owner = () => rig.owner.client
  const exec = (command: string, client = owner()) => client.execCommand({ params: { hostId: rig.host.id }, body: { command } })
  const list = async (query: Partial<CommandsQuery> = {}, client = owner()): Promise<CommandRecord[]> =>
    (await client.listCommands({ params: { orgId: rig.org.id }, query })).items
  const file = async (format: 'csv' | 'jsonl', filter: object = {}) => {
    const { path } = await owner().createCommandExport({ params: { orgId: rig.org.id }, body: { format, ...filter } })
    const response = await rig.edge.request(path)
    return { path, response, text: await response.text() }
  }

  test('has who ran what where, how it ended, how long it took and how much it said', async () => {
    const { shellId } = await exec('echo out; echo err >&2; exit 3')
    const [record] = await list({ text: 'EXIT 3' })
    expect(record).toMatchObject({
      id: shellId,
      kind: 'exec',
      shellId,
      hostId: rig.host.id,
      userId: rig.owner.id,
      state: 'done',
      exitCode: 3,
    })
    expect(record).toMatchObject({ stdoutBytes: 4, stderrBytes: 4, durationMs: expect.any(Number), endedAt: expect.any(String) })
  })

  test('has the lines of terminals, marked as such, with their place in the recording, and nothing that was typed unseen', async () => {
    const oversight = await owner().getOversight({ params: { orgId: rig.org.id } })
    await owner().putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, recordsInput: true } })
    const screen = screenOf()
    const view = await owner().shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
    await screen.until('$ ')
    view.write('echo vis""ible\r')
    await screen.until('visible\r\n')
    view.write('stty -echo; printf "Pass""word: "; read x; stty echo; echo fin""ished\r')
    await screen.until('Password: ')
    view.write('hunter2-canary\r')
    await screen.until('finished\r\n')
    view.write('exit\r')
    await view.finished()
    await owner().putOversight({ params: { orgId: rig.org.id }, body: oversight })
    const lines = await until(async () => {
      const items = await list({ shellId: view.id as never })
      return items.length >= 3 && items
    })
    expect(lines.map(({ command }) => command).toReversed()).toEqual([
      'echo vis""ible',
      'stty -echo; printf "Pass""word: "; read x; stty echo; echo fin""ished',
      'exit',
    ])
    expect(lines[0]).toMatchObject({ kind: 'pty', userId: rig.owner.id, exitCode: null, recordingMs: expect.any(Number), shellId: view.id })
    await until(async () => (await owner().getRecording({ params: { shellId: view.id } })).endedAt)
    const { path } = await owner().createRecordingFile({ params: { shellId: view.id }, body: {} })
    const cast = await (await rig.edge.request(path)).text()
    const events = cast
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse(line) as [number, string, string])
    expect(events.filter(([, code]) => code === 'm').map(([, , text]) => text)).toContain('echo vis""ible')
    expect(events.filter(([, code]) => code === 'i').map(([, , text]) => text)).toEqual([
      'echo vis""ible\r',
      expect.stringMatching(/^stty -echo/),
      '[hidden]\r',
      'exit\r',
    ])
    const { results } = await rig.edge.db.prepare('SELECT * FROM shell_commands').all()
    expect(JSON.stringify([results, cast, rig.edge.logs()])).not.toContain('canary')
  })

  test('is narrowed by every filter, and goes on by its cursor', async () => {
    const operator = await rig.member('operator')
    await exec('echo by-operator', operator.client)
    for (const n of [1, 2, 3]) await exec(`echo page-${n}`)
    expect((await list({ userId: operator.id as never })).map(({ command }) => command)).toEqual(['echo by-operator'])
    expect((await list({ kind: 'pty' })).every(({ kind }) => kind === 'pty')).toBe(true)
    expect((await list({ exitCode: 3 })).map(({ command }) => command)).toEqual(['echo out; echo err >&2; exit 3'])
    expect(await list({ hostId: 'hst_01jd0000000000000000000001' as never })).toEqual([])
    const [newest] = await list()
    expect(await list({ to: newest!.startedAt })).not.toContainEqual(newest)
    expect((await list({ from: newest!.startedAt })).map(({ id }) => id)).toEqual([newest!.id])
    const first = await owner().listCommands({ params: { orgId: rig.org.id }, query: { text: 'page-', limit: 2 } })
    const second = await owner().listCommands({
      params: { orgId: rig.org.id },
      query: { text: 'page-', limit: 2, cursor: first.nextCursor! },
    })
    expect([...first.items, ...second.items].map(({ command }) => command)).toEqual(['echo page-3', 'echo page-2', 'echo page-1'])
    expect(second.nextCursor).toBeUndefined()
    const bad = owner().listCommands({ params: { orgId: rig.org.id }, query: { cursor: 'bm9uc2Vuc2U' } })
    expect((await problemOf(bad)).slug).toBe('invalid-request')
  })

  test('shows operators and readers their own alone, unless the organisation is open, and strangers nothing', async () => {
    const [reader, stranger] = [await rig.member('reader'), await rig.edge.signUp('stranger')]
    expect(await list({}, reader.client)).toEqual([])
    expect((await problemOf(list({}, stranger.client))).slug).toBe('not-found')
    const oversight = await owner().getOversight({ params: { orgId: rig.org.id } })
    await owner().putOversight({ params: { orgId: rig.org.id }, body: { ...oversight, isOpen: true } })
    expect((await list({}, reader.client)).length).toBeGreaterThan(3)
    await owner().putOversight({ params: { orgId: rig.org.id }, body: oversight })
  })

  test('leaves as a file once per path, on record, and no cell of it is a formula', async () => {
    await exec('=cmd|calc; true')
    await exec(": '\u001b]0;title\u0007'")
    const { response, text, path } = await file('csv')
    expect(response.headers.get('content-type')).toContain('text/csv')
    expect(text.split('\r\n')[0]).toContain('"startedAt","userId","hostId"')
    expect(text).toContain(`"'=cmd|calc; true"`)
    // What a terminal would obey is written out.
    expect(text).toContain(`": '\\x1b]0;title\\x07'"`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
    expect(text).not.toMatch(/[\u001b\u0007]/)
    expect((await rig.edge.request(path)).status).toBe(401)
    const lines = (await file('jsonl', { exitCode: 3 })).text.trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as CommandRecord).exitCode)).toEqual([3])
    const { items } = await owner().listOrgAudit({ params: { orgId: rig.org.id }, query: { action: 'command.export' } })
    expect(items).toHaveLength(2)
  })
})
