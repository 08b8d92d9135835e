import { expect, test } from 'vitest'
import { nextPage } from '../../src/console/browser/next-page.ts'

const leads = (next: string) => nextPage(`?next=${encodeURIComponent(next)}`)

test.each(['/app', '/app/account', '/app/rooms/rm_01k3ahrz6dmv29gqy5ckt18fp1'])(
  'a page of ours that was asked for, %s, is where a sign-in leads',
  (page) => expect(leads(page)).toBe(page),
)

test.each([
  '//evil.example',
  '//evil.example/app',
  '/\\evil.example',
  '\\\\evil.example',
  '/app\\..\\evil',
  '/app//evil.example',
  '/app/../evil',
  '/app/..;/evil',
  '/app@evil.example',
  '/app?next=//evil.example',
  '/app#//evil.example',
  '/app/%2f%2fevil.example',
  '%2f%2fevil.example',
  '/%09/evil.example',
  '\t//evil.example',
  '/app\n//evil.example',
  'https://evil.example/app',
  'https:evil.example',
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)//app',
  'data:text/html,<script>alert(1)</script>',
  '/APP',
  '/application',
  '',
])('a hostile one, %j, leads home', (next) => {
  const page = leads(next)
  expect(['/app', '/app//evil.example']).toContain(page)
  expect(new URL(page, 'https://parvis.test').origin).toBe('https://parvis.test')
})

test('of several, and of spellings that are encoded twice, none leads away', () => {
  for (const search of [
    '?next=//evil.example&next=/app/account',
    '?next=%252f%252fevil.example',
    '?NEXT=/app/account',
    '?next[]=//evil.example',
    '?',
  ])
    expect(nextPage(search)).toBe('/app')
})
