import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Client, ClosedError, createClient, type ShellEvents, type ShellView, type TakeOutput } from '../../src/client/client.ts'
import { VIEW_ACK_BYTES, VIEW_INPUT_WINDOW_BYTES, VIEW_WINDOW_BYTES } from '../../src/contract/viewer.ts'
import { type Service, SHELL_ID, soon, startService } from './service.ts'
import { type ShellPeer, seeded, startShell } from './shell-peer.ts'

const LOGIN = { body: { email: 'ada@example.org', password: 'correct horse battery staple' } }

let service: Service
let shell: ShellPeer
let client: Client
beforeEach(async () => {
  service = await startService()
  shell = startShell(service)
  client = createClient({ origin: service.origin })
  await client.login(LOGIN)
})
afterEach(async () => {
  vi.useRealTimers()
  client.close()
  shell.stop()
  await service.stop()
})

/** Collects output. */
function collector() {
  const parts: Uint8Array[] = []
  const output: TakeOutput = (bytes) => void parts.push(bytes)
  return { output, bytes: () => Buffer.concat(parts), text: () => Buffer.concat(parts).toString() }
}

const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )

const next = <K extends keyof ShellEvents>(view: ShellView, name: K) =>
  new Promise<ShellEvents[K]>((resolve) => {
    const off = view.on(name, (event) => {
      off()
      resolve(event)
    })
  })

/** A view that has been answered. */
async function attached(options: Partial<Parameters<Client['shells']['attach']>[1]> = {}) {
  const seen = collector()
  const view = client.shells.attach(SHELL_ID, { output: seen.output, ...options })
  await next(view, 'attached')
  return { view, seen }
}

const noise = (length: number, random: () => number) => Uint8Array.from({ length }, () => Math.floor(random() * 256))

describe('sockets cut at random points', () => {
  test.each(Array.from({ length: 12 }, (_, i) => i + 1))('lose and double nothing (seed %i)', { timeout: 60_000 }, async (seed) => {
    const random = seeded(seed)
    const seen = collector()
    const view = client.shells.attach(SHELL_ID, {
      // Some takers are slow, so that cuts meet output that waits.
      output: async (bytes) => {
        if (random() < 0.05) await new Promise((resolve) => setTimeout(resolve, random() * 3))
        await seen.output(bytes)
      },
    })
    const typed: Uint8Array[] = []
    for (let step = 0; step < 120; step++) {
      const choice = random()
      if (choice < 0.45) shell.print(noise(1 + Math.floor(random() * 20_000), random))
      else if (choice < 0.85) {
        const bytes = noise(1 + Math.floor(random() ** 4 * 60_000), random)
        typed.push(bytes)
        view.write(bytes)
      } else if (choice < 0.9) shell.state.isAccepting = !shell.state.isAccepting
      else if (choice < 0.94) shell.forgetInput()
      else shell.cut()
      if (random() < 0.5) await new Promise((resolve) => setTimeout(resolve, random() * 8))
    }
    shell.state.isAccepting = true
    shell.acceptAll()
    await view.delivered()
    shell.end()
    expect(await view.finished()).toMatchObject({ exitCode: 7, state: 'closed' })
    expect(Buffer.compare(seen.bytes(), shell.output())).toBe(0)
    expect(Buffer.compare(shell.typed(), Buffer.concat(typed))).toBe(0)
    expect(shell.breaches).toEqual([])
  })

  test('are many in that test', async () => {
    const { view } = await attached()
    for (let i = 0; i < 3; i++) {
      const back = next(view, 'attached')
      shell.cut()
      await back
    }
    expect(shell.attaches).toHaveLength(4)
  })
})

describe('output', () => {
  test('comes in order, from the beginning of what is kept', async () => {
    shell.print('one ')
    const { seen } = await attached()
    shell.print('two ')
    shell.print('three')
    await soon(seen.text).toBe('one two three')
  })

  test('goes on from an offset that is given', async () => {
    shell.print('one two')
    const { seen } = await attached({ since: 4 })
    await soon(seen.text).toBe('two')
  })

  test('waits for a slow taker: no more than the window is under way', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let taken = 0
    const { view } = await attached({
      output: async (bytes) => {
        await held
        taken += bytes.length
      },
    })
    shell.print(new Uint8Array(4 * VIEW_WINDOW_BYTES))
    await soon(() => [...shell.viewers][0]?.sentTo).toBe(VIEW_WINDOW_BYTES)
    await view.delivered()
    expect(shell.frames.filter((f) => f.type === 'ack')).toEqual([])
    release()
    await soon(() => taken).toBe(4 * VIEW_WINDOW_BYTES)
    const acked = () => shell.frames.filter((f) => f.type === 'ack').map((f) => f.offset)
    await soon(() => 4 * VIEW_WINDOW_BYTES - (acked().at(-1) ?? 0)).toBeLessThanOrEqual(VIEW_ACK_BYTES)
    const acks = acked()
    for (const [i, ack] of acks.entries()) expect(ack - (acks[i - 1] ?? 0)).toBeLessThanOrEqual(VIEW_ACK_BYTES)
  })

  test('that is lost is a gap, told between what came before and after', async () => {
    const order: string[] = []
    const seen = (bytes: Uint8Array) => void order.push(Buffer.from(bytes).toString())
    const { view } = await attached({ output: seen })
    view.on('gap', ({ from, to }) => order.push(`gap ${from}-${to}`))
    shell.print('before')
    await soon(() => order).toEqual(['before'])
    shell.cut()
    shell.print('lostafter')
    shell.state.firstOffset = 10
    await soon(() => order).toEqual(['before', 'gap 6-10', 'after'])
  })

  test('that jumps without a gap is asked for again', async () => {
    const { seen, view } = await attached()
    shell.print('abc')
    await soon(seen.text).toBe('abc')
    const back = next(view, 'attached')
    shell.send(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 9, 120]))
    await back
    shell.print('def')
    await soon(seen.text).toBe('abcdef')
    expect(shell.attaches).toEqual([0, 3])
  })

  test('that was drawn but is not kept any more is neither doubled nor acknowledged', async () => {
    const { seen, view } = await attached()
    shell.print(new Uint8Array(VIEW_ACK_BYTES).fill(97))
    await soon(() => seen.bytes().length).toBe(VIEW_ACK_BYTES)
    const lost = shell.forgetOutput(VIEW_ACK_BYTES - 10)
    const connections = shell.attaches.length
    shell.cut()
    await soon(() => shell.attaches.length).toBe(connections + 1)
    shell.print(lost.subarray(0, 100))
    view.write('x')
    await view.delivered()
    shell.print(lost.subarray(100))
    shell.print('z')
    await soon(() => seen.bytes().length).toBe(VIEW_ACK_BYTES + 1)
    expect(Buffer.compare(seen.bytes(), shell.output())).toBe(0)
    expect(shell.breaches).toEqual([])
  })

  test('whose taker throws ends the view, and says why', async () => {
    const { view } = await attached({
      output: () => {
        throw new Error('the terminal is gone')
      },
    })
    const problem = next(view, 'problem')
    const finished = failure(view.finished())
    shell.print('x')
    expect(await problem).toMatchObject({ message: 'the terminal is gone' })
    expect(await finished).toMatchObject({ message: 'the terminal is gone' })
    expect(view.status).toBe('closed')
  })
})

describe('input', () => {
  test('is kept while nobody answers, and sent when somebody does', async () => {
    const view = client.shells.attach(SHELL_ID, collector())
    view.write('ls ')
    view.write('-l\n')
    await view.delivered()
    expect(shell.typed().toString()).toBe('ls -l\n')
  })

  test('is UTF-8', async () => {
    const { view } = await attached()
    view.write('é🚪')
    await view.delivered()
    expect(shell.typed().toString()).toBe('é🚪')
  })

  test('stops at the window until the relay has it', async () => {
    shell.state.isAccepting = false
    const { view } = await attached()
    view.write(new Uint8Array(3 * VIEW_INPUT_WINDOW_BYTES + 5))
    await soon(() => shell.typed().length).toBe(VIEW_INPUT_WINDOW_BYTES)
    shell.state.isAccepting = true
    shell.acceptAll()
    await view.delivered()
    expect(shell.typed()).toHaveLength(3 * VIEW_INPUT_WINDOW_BYTES + 5)
    expect(shell.breaches).toEqual([])
  })

  test('of a watcher is refused', async () => {
    shell.state.role = 'watcher'
    const view = client.shells.attach(SHELL_ID, collector())
    const refused = next(view, 'refused')
    view.write('rm -rf /')
    expect(await refused).toBe('input')
    expect(view.role).toBe('watcher')
    expect(await failure(view.delivered())).toMatchObject({ slug: 'forbidden' })
    const again = next(view, 'refused')
    view.write('x')
    expect(await again).toBe('input')
    expect(shell.typed()).toHaveLength(0)
  })

  test('of an opener who lost the role is refused, and begins anew with the role', async () => {
    const { view } = await attached()
    view.write('one ')
    await view.delivered()
    shell.state.role = 'watcher'
    const refused = next(view, 'refused')
    view.write('two ')
    const delivered = failure(view.delivered())
    expect(await refused).toBe('input')
    expect(await delivered).toMatchObject({ slug: 'forbidden' })
    shell.state.role = 'opener'
    const back = next(view, 'attached')
    shell.cut()
    await back
    view.write('three')
    await view.delivered()
    expect(shell.allTyped()).toEqual(['one ', 'three'])
    expect(shell.breaches).toEqual([])
  })

  test('that the shell claims to have but never got ends the view', async () => {
    const { view } = await attached()
    const finished = failure(view.finished())
    shell.say({ type: 'accepted', inputOffset: 999 } as never)
    expect(await finished).toMatchObject({ name: 'ContractError' })
  })
})

describe('the size', () => {
  test('asked for before the shell answers is set when it does, and again on a new connection that lost it', async () => {
    const view = client.shells.attach(SHELL_ID, collector())
    const resized = next(view, 'resized')
    view.resize(120, 40)
    expect(await resized).toEqual({ columns: 120, rows: 40 })
    Object.assign(shell.state, { columns: 80, rows: 24 })
    const again = next(view, 'resized')
    shell.cut()
    expect(await again).toEqual({ columns: 120, rows: 40 })
  })

  test('is brought into its bounds', async () => {
    const { view } = await attached()
    const resized = next(view, 'resized')
    view.resize(0, 1e9)
    expect(await resized).toEqual({ columns: 1, rows: 1000 })
  })
})

describe('a view', () => {
  test('ends with the exit of the program, after all output was taken', async () => {
    const order: string[] = []
    const { view } = await attached({
      output: async (bytes) => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        order.push(Buffer.from(bytes).toString())
      },
    })
    view.on('exit', ({ exitCode }) => order.push(`exit ${exitCode}`))
    view.on('state', ({ state }) => order.push(state))
    shell.print('last words')
    shell.end()
    expect(await view.finished()).toEqual({ state: 'closed', reason: 'the program ended', exitCode: 7, signal: null })
    expect(order).toEqual(['last words', 'exit 7', 'closed'])
    expect(view.status).toBe('closed')
  })

  test('of a shell that has ended tells its output first, then how it ended', async () => {
    shell.print('what was kept')
    shell.end()
    const order: string[] = []
    const view = client.shells.attach(SHELL_ID, { output: (bytes) => void order.push(Buffer.from(bytes).toString()) })
    view.on('state', ({ state }) => order.push(state))
    expect(await view.finished()).toMatchObject({ exitCode: 7, state: 'closed' })
    expect(order).toEqual(['what was kept', 'closed'])
  })

  test('that is closed detaches only: the shell is not ended', async () => {
    const { view } = await attached()
    const finished = failure(view.finished())
    view.close()
    expect(await finished).toBeInstanceOf(ClosedError)
    await soon(() => shell.viewers.size).toBe(0)
    expect(service.arrivals.map((a) => a.method)).not.toContain('DELETE')
  })

  test('ends the shell by the operation', async () => {
    const { view } = await attached()
    await failure(view.end())
    expect(service.arrivals.at(-1)).toMatchObject({ method: 'DELETE', path: `/v1/shells/${SHELL_ID}` })
  })

  test('is opened and attached in one step', async () => {
    const seen = collector()
    const view = await client.shells.open({ body: { hostId: 'hst_00000000000000000000000001' } }, { output: seen.output })
    shell.print('$ ')
    await soon(seen.text).toBe('$ ')
    expect(view.id).toBe(SHELL_ID)
    expect(service.to('/v1/shells')).toHaveLength(1)
  })

  test('comes back with a fresh token when its own has expired, and goes on where it was', async () => {
    const { view, seen } = await attached()
    shell.print('abc')
    await soon(seen.text).toBe('abc')
    service.expireTokens()
    const back = next(view, 'attached')
    shell.close(4401, 'unauthenticated')
    await back
    shell.print('def')
    await soon(seen.text).toBe('abcdef')
    expect(service.to('/v1/auth/refresh')).toHaveLength(1)
  })

  test.each([
    [4404, 'not-found'],
    [4403, 'forbidden'],
  ])('closed with %i is over: %s', async (code, slug) => {
    const { view } = await attached()
    const finished = failure(view.finished())
    shell.close(code, slug)
    expect(await finished).toMatchObject({ slug })
    expect(await failure(view.delivered())).toMatchObject({ slug })
  })

  test('understands a newer shell as far as it can', async () => {
    const { view, seen } = await attached()
    shell.say({ type: 'weather' })
    shell.print('fine')
    await soon(seen.text).toBe('fine')
    expect(view.status).toBe('open')
  })

  test('that is told nonsense is over', async () => {
    const { view } = await attached()
    const finished = failure(view.finished())
    shell.send('{"type":')
    expect(await finished).toMatchObject({ name: 'ContractError' })
  })

  test('pings as often as the shell wants to hear it, output or not', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    const { view } = await attached()
    for (let seconds = 0; seconds < 120; seconds += 5) {
      await vi.advanceTimersByTimeAsync(5_000)
      shell.print('.')
      await view.delivered()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(shell.state.pings).toBeGreaterThanOrEqual(4)
    expect(view.status).toBe('open')
  })
})
