import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import type { TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { openPages } from './pages.ts'
import { soon } from './service.ts'

const [, section = ''] = /^## Make your editor collaborative in ten lines\n([\s\S]*?)^## /m.exec(readFileSync('README.md', 'utf8')) ?? []
const PIECES = [...section.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)
const pieceWith = (mark: string) => {
  const found = PIECES.filter((code) => code.includes(mark))
  if (found.length !== 1) throw new Error(`${found.length} pieces with ${mark}`)
  return found[0] as string
}

/** Types into an editor. */
async function write(page: Page, at: string, text: string): Promise<void> {
  await page.click(at)
  await page.keyboard.press('Control+Home')
  await page.keyboard.type(text)
}

/** What an editor holds, without the carets of the others. */
function textWithoutCarets(element: Element): string {
  const copy = element.cloneNode(true) as Element
  for (const caret of copy.querySelectorAll('.cm-ySelectionCaret')) caret.remove()
  return copy.textContent.trim()
}

test('every piece has ten lines at most', () => {
  expect(PIECES).toHaveLength(5)
  for (const code of PIECES) expect(code.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(10)
})

describeWith('chromium', 'of the documentation, two people run', (executablePath) => {
  let pages: Awaited<ReturnType<typeof openPages>>
  let people: readonly TestUser[]
  beforeAll(async () => {
    pages = await openPages(executablePath)
    people = [await pages.edge.signUp('ada'), await pages.edge.signUp('bob')]
  })
  afterAll(() => pages.stop())

  /** Both run the piece in one room. */
  async function run(mark: string) {
    const [ada, bob] = people as readonly [TestUser, TestUser]
    const { id: roomId } = await ada.client.createRoom({ body: { name: 'documented' } })
    await ada.client.putRoomMember({ params: { roomId, userId: bob.id as UserId }, body: { role: 'editor' } })
    const code = pieceWith(mark)
      .replaceAll('https://parvis.example.org', pages.door.origin)
      .replaceAll('wss://parvis.example.org', pages.door.origin.replace('http', 'ws'))
    const opened = await Promise.all(people.map((user) => pages.open(user, code, { roomId })))
    return { opened, close: () => Promise.all(opened.map(({ page }) => page.context().close())) }
  }

  test.each([
    ['Tiptap', '@tiptap/core', '.ProseMirror'],
    ['CodeMirror', 'yCollab', '.cm-content'],
  ])('%s: what each types, both see', { timeout: 60_000 }, async (_, mark, editor) => {
    const { opened, close } = await run(mark)
    const texts = () => Promise.all(opened.map(({ page }) => page.locator(editor).evaluate(textWithoutCarets)))
    const [ada, bob] = opened as unknown as [{ page: Page }, { page: Page }]
    await write(ada.page, editor, 'from Ada. ')
    await soon(texts).toEqual([expect.stringContaining('from Ada.'), expect.stringContaining('from Ada.')])
    await write(bob.page, editor, 'From Bob, ')
    await soon(texts).toEqual(['From Bob, from Ada.', 'From Bob, from Ada.'])
    expect(opened.flatMap(({ said }) => said)).toEqual([])
    await close()
  })

  test.each([
    ['plain Yjs', 'joinOffline'],
    ['y-websocket', 'WebsocketProvider'],
    ['Hocuspocus', 'HocuspocusProvider'],
  ])('%s: both hold what each wrote', { timeout: 60_000 }, async (_, mark) => {
    const { opened, close } = await run(mark)
    for (const { said } of opened) await soon(() => said.at(-1)?.trim()).toBe('Hello. Hello.')
    await close()
  })
})
