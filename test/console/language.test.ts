import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ACCOUNT_WORDS } from '../../src/console/words/account.ts'
import { ENTRY_WORDS } from '../../src/console/words/entry.ts'
import { FRAME_WORDS } from '../../src/console/words/frame.ts'
import { MAILED_WORDS } from '../../src/console/words/mailed.ts'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { namelessParts, openBrowser, openDoor, openVisitor } from './browser.ts'

const PAGES = [
  '/login',
  '/login/factor',
  '/login/mail',
  '/register',
  '/register/confirm',
  '/password/reset',
  '/account/restore',
  '/app/account',
  '/app/email',
  '/app/invitation',
]

const CATALOGUES = [FRAME_WORDS, ENTRY_WORDS, ACCOUNT_WORDS, MAILED_WORDS]
/** What is said in English in so many words that no French text can hold it by chance. */
const ENGLISH = CATALOGUES.flatMap(({ en }) => Object.values<string>(en)).filter((text) => text.includes(' '))
const leftIn = (text: string) => ENGLISH.filter((english) => text.includes(english))

let edge: Edge
let door: Awaited<ReturnType<typeof openDoor>>
beforeAll(async () => {
  await promisify(execFile)(process.execPath, ['src/dev/assets.ts'])
  door = await openDoor()
  edge = await startEdge({ vars: { PUBLIC_ORIGIN: door.origin } })
  door.leadTo(edge.origin)
})
afterAll(async () => {
  await edge?.stop()
  await door?.close()
})

describe.each(PAGES)('%s', (path) => {
  async function languageOf(query: string, headers: Record<string, string>) {
    const answer = await edge.request(`${path}${query}`, { headers })
    const html = await answer.text()
    return { language: /<html lang="(\w+)">/.exec(html)?.[1], html, answer }
  }

  test('is in the language of the address, else of the user’s choice, else of the browser, else in English', async () => {
    const french = { cookie: 'parvis-language=fr', 'accept-language': 'en-GB' }
    expect((await languageOf('', {})).language).toBe('en')
    expect((await languageOf('', { 'accept-language': 'de, fr-CA;q=0.8, en;q=0.5' })).language).toBe('fr')
    expect((await languageOf('', french)).language).toBe('fr')
    expect((await languageOf('?lang=en', french)).language).toBe('en')
    expect((await languageOf('?lang=xx', { cookie: 'parvis-language="><script>' })).language).toBe('en')
  })

  test('leaves nothing in English where it is in French, and remembers the language that the address names', async () => {
    const { html, answer } = await languageOf('?lang=fr', {})
    expect(leftIn(html)).toEqual([])
    expect(answer.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^parvis-language=fr; Max-Age=\d+; Path=\/; Secure; SameSite=Lax$/),
    ])
    expect((await languageOf('', {})).answer.headers.getSetCookie()).toEqual([])
  })
})

describeWith('chromium', 'a community in French', (executablePath) => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openBrowser(executablePath)
  })
  afterAll(() => browser?.close())

  test('somebody signs up, is told in French what is wrong with a password, and finds their account in French', async () => {
    const { page, complaints } = await openVisitor(browser, door.origin, { locale: 'fr-FR' })
    const email = 'marie@example.org'
    await page.goto('/register')
    await page.getByRole('button', { name: 'Créer le compte' }).click()
    await page.getByText('Remplissez ce champ.').first().waitFor()
    await page.getByLabel('Adresse').fill(email)
    await page.getByLabel('Mot de passe').fill('azertyuiopqsdfghjklm')
    expect(await page.getByLabel('Langue des messages').inputValue()).toBe('fr')
    await page.getByRole('button', { name: 'Créer le compte' }).click()
    await page.getByText('est fait de mots de passe courants, de suites de touches ou de répétitions').waitFor()
    await page.getByLabel('Mot de passe').fill(PASSWORD)
    await page.getByRole('button', { name: 'Créer le compte' }).click()
    await page.getByLabel('Code').fill(await edge.mailbox.codeTo(email))
    await page.getByRole('button', { name: 'Confirmer l’adresse' }).click()
    await page.waitForURL('/app')
    await page.goto('/app/account')
    await page.locator('#activity-list li', { hasText: 'Connexion' }).first().waitFor()
    await page.locator('#devices-list .badge:not([hidden])').waitFor()
    expect(leftIn((await page.textContent('body')) ?? '')).toEqual([])
    expect(await page.evaluate(namelessParts)).toEqual([])
    await page.getByLabel('Mot de passe actuel').fill('faux mot de passe')
    await page.getByLabel('Nouveau mot de passe').fill('une phrase que personne ne devine')
    await page.getByRole('button', { name: 'Enregistrer le mot de passe' }).click()
    await page.getByText('L’adresse ou le mot de passe est faux.').waitFor()
    expect(complaints.all.filter((complaint) => !/status of 40[01]/.test(complaint))).toEqual([])
  })

  test('who is written to in French reads French on any browser, and another choice in the profile changes the pages too', async () => {
    const { email, client } = await edge.signUp('louise')
    await client.updateMe({ ifMatch: '*', body: { displayName: null, locale: 'fr' } })
    const { page } = await openVisitor(browser, door.origin, { locale: 'en-GB' })
    await page.goto('/login?next=/app/account')
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('heading', { name: 'Appareils connectés' }).waitFor()
    await page.getByLabel('Langue de vos messages').selectOption('en')
    await page.getByRole('button', { name: 'Enregistrer le profil' }).click()
    await page.getByText('Votre profil est enregistré.').waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Signed-in devices' }).waitFor()
    await page.goto('/app/account?lang=fr')
    await page.locator('#devices-list .badge:not([hidden])').waitFor()
    await page.getByRole('heading', { name: 'Appareils connectés' }).waitFor()
  })
})
