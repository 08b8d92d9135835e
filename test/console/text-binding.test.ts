import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { describeWith } from '../requires.ts'
import { openBrowser } from './browser.ts'

/** Two documents joined without a network, one of them bound to the text area; `hold` keeps their talk back. */
const PAGE = `
import * as Y from 'yjs'
import { bindText } from './src/console/browser/text-binding.ts'

const here = new Y.Doc(), there = new Y.Doc()
let held = [], isHeld = false
const join = (from, to) => from.on('update', (update, origin) => {
  if (origin === 'wire') return
  const carry = () => Y.applyUpdate(to, update, 'wire')
  if (isHeld) held.push(carry)
  else carry()
})
join(here, there)
join(there, here)
there.getText('t').insert(0, 'one two')
bindText(here.getText('t'), document.querySelector('textarea'))
window.there = there.getText('t')
window.here = here.getText('t')
window.hold = () => { isHeld = true }
window.release = () => { isHeld = false; for (const carry of held.splice(0)) carry() }
`

declare global {
  interface Window {
    readonly there: { insert(at: number, text: string): void; delete(at: number, length: number): void; toString(): string }
    readonly here: { toString(): string }
    readonly hold: () => void
    readonly release: () => void
  }
}

describeWith('chromium', 'a text area bound to a shared text', (executablePath) => {
  let browser: Browser
  let script: string
  let page: Page

  beforeAll(async () => {
    const built = await build({
      stdin: { contents: PAGE, resolveDir: process.cwd() },
      bundle: true,
      write: false,
      format: 'iife',
      logLevel: 'silent',
    })
    script = built.outputFiles[0]?.text ?? ''
    browser = await openBrowser(executablePath)
  })
  afterAll(() => browser.close())

  beforeEach(async () => {
    await page?.close()
    page = await browser.newPage()
    await page.setContent('<textarea rows="5"></textarea>')
    await page.addScriptTag({ content: script })
    await page.focus('textarea')
  })

  const state = () =>
    page.evaluate(() => {
      const { value, selectionStart, selectionEnd } = document.querySelector('textarea')!
      return { value, selection: [selectionStart, selectionEnd], here: window.here.toString(), there: window.there.toString() }
    })
  const select = (start: number, end: number) =>
    page.evaluate(([a, b]) => document.querySelector('textarea')!.setSelectionRange(a!, b!), [start, end])
  const same = (value: string, selection: readonly number[]) => ({ value, selection, here: value, there: value })

  test('shows the document and sends what is typed', async () => {
    await select(3, 3)
    await page.keyboard.type(' and a half,')
    expect(await state()).toEqual(same('one and a half, two', [15, 15]))
  })

  test('keeps caret and selection while others write before, inside and after them', async () => {
    await select(4, 7)
    await page.evaluate(() => window.there.insert(0, 'zero '))
    expect(await state()).toEqual(same('zero one two', [9, 12]))
    await page.evaluate(() => window.there.insert(12, ' three'))
    expect(await state()).toEqual(same('zero one two three', [9, 12]))
    await page.evaluate(() => window.there.delete(0, 5))
    expect(await state()).toEqual(same('one two three', [4, 7]))
  })

  test('replaces what was selected, and nothing that others wrote meanwhile', async () => {
    await page.evaluate(() => window.hold())
    await select(0, 3)
    await page.keyboard.type('ONE')
    await page.evaluate(() => {
      window.there.insert(7, '!')
      window.release()
    })
    expect(await state()).toEqual(same('ONE two!', [3, 3]))
  })

  test('joins what an input method composes with what others write meanwhile', async () => {
    await select(7, 7)
    const cdp = await page.context().newCDPSession(page)
    await cdp.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 })
    await page.evaluate(() => window.there.insert(0, 'zero '))
    expect((await state()).value).toBe('one twoに')
    await cdp.send('Input.imeSetComposition', { text: 'にほ', selectionStart: 2, selectionEnd: 2 })
    await cdp.send('Input.insertText', { text: '日本' })
    expect(await state()).toEqual(same('zero one two日本', [14, 14]))
  })

  test('undoes own edits only', async () => {
    await select(7, 7)
    await page.keyboard.type(' three')
    await page.evaluate(() => window.there.insert(0, 'zero '))
    await page.keyboard.press('Control+z')
    expect((await state()).there).toBe('zero one two')
    await page.keyboard.press('Control+Shift+z')
    expect((await state()).value).toBe('zero one two three')
  })

  test('edits a document with carriage returns at the right place', async () => {
    await page.evaluate(() => window.there.insert(0, 'a\r\nb\r\n'))
    await select(4, 4)
    await page.keyboard.type('c')
    expect((await state()).there).toBe('a\r\nb\r\ncone two')
    await page.evaluate(() => window.there.insert(0, '\r\n'))
    expect((await state()).value).toBe('\na\nb\ncone two')
  })

  test('writes nothing while it is read-only', async () => {
    await page.evaluate(() => {
      document.querySelector('textarea')!.readOnly = true
    })
    await page.keyboard.type('x')
    await page.keyboard.press('Control+z')
    expect((await state()).there).toBe('one two')
  })
})
