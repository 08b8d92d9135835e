import type { Locale } from '../../../contract/identity.ts'

/** A part of a letter, filled in. */
export type Part =
  | { readonly text: string }
  | { readonly code: string }
  | { readonly label: string; readonly url: string }
  | { readonly facts: readonly (readonly [label: string, value: string])[] }

/** A mail before it is laid out. */
export interface Letter {
  readonly locale: Locale
  readonly heading: string
  readonly parts: readonly Part[]
  readonly footer: string
}

const COLON: Readonly<Record<Locale, string>> = { en: ':', fr: '\u00a0:' }

/** The letter as plain text: code and link stand alone on their lines, so that they are copied whole. */
export function renderText({ locale, heading, parts, footer }: Letter): string {
  const shown = parts.map((part) => {
    if ('text' in part) return part.text
    if ('code' in part) return `    ${part.code}`
    if ('url' in part) return part.url
    return part.facts.map(([label, value]) => `${label}${COLON[locale]} ${value}`).join('\n')
  })
  return `${[heading, ...shown, `-- \n${footer}`].join('\n\n')}\n`
}

const SANS = 'font-family:-apple-system,BlinkMacSystemFont,Segoe UI,Roboto,Helvetica,Arial,sans-serif'
const MONO = 'font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace'

/** Inline, because some mail programs drop style elements; those that do show the light colours, stated with their backgrounds. */
const STYLE = {
  page: `margin:0;padding:32px 16px;background:#f4f4f2;color:#1d1d1b;${SANS}`,
  card: 'max-width:480px;margin:0 auto;padding:32px;background:#ffffff;border:1px solid #e3e2dd;border-radius:12px',
  heading: 'margin:0 0 16px;font-size:22px;line-height:28px;font-weight:600',
  text: 'margin:0 0 16px;font-size:16px;line-height:24px',
  code: `margin:24px 0;padding:16px;background:#f4f4f2;border-radius:8px;text-align:center;${MONO};font-size:34px;line-height:40px;font-weight:600;letter-spacing:6px`,
  action: 'margin:24px 0 8px',
  button:
    'display:inline-block;padding:12px 20px;background:#285e61;color:#ffffff;border-radius:9px;font-size:16px;line-height:20px;font-weight:600;text-decoration:none',
  url: 'margin:0 0 24px;font-size:13px;line-height:20px;color:#6b6a64;word-break:break-all',
  facts: 'margin:0 0 16px;font-size:16px;line-height:24px;border-collapse:collapse',
  label: 'padding:2px 16px 2px 0;color:#6b6a64;text-align:left;font-weight:400;vertical-align:top',
  value: 'padding:2px 0',
  footer: 'margin:24px auto 0;max-width:480px;text-align:center;font-size:13px;line-height:20px;color:#6b6a64',
} as const

/** What changes where the reader prefers dark; it must win over the inline styles. */
const DARK = [
  '.page{background:#151716!important;color:#ecebe6!important}',
  '.card{background:#1c1f1e!important;border-color:#313635!important}',
  '.code{background:#232726!important}',
  '.button{background:#7fc4c0!important;color:#10201f!important}',
  '.url,.label,.footer{color:#a3a29b!important}',
].join('')

const tag = (name: string, style: keyof typeof STYLE, inner: string) =>
  `<${name} class="${style}" style="${STYLE[style]}">${inner}</${name}>`

function renderPart(part: Part): string {
  if ('text' in part) return tag('p', 'text', escapeHtml(part.text))
  if ('code' in part) return tag('p', 'code', escapeHtml(part.code))
  if ('url' in part) {
    const url = escapeHtml(part.url)
    const button = `<a class="button" style="${STYLE.button}" href="${url}">${escapeHtml(part.label)}</a>`
    return tag('p', 'action', button) + tag('p', 'url', url)
  }
  const rows = part.facts.map(
    ([label, value]) => `<tr>${tag('th', 'label', escapeHtml(label))}${tag('td', 'value', escapeHtml(value))}</tr>`,
  )
  return tag('table', 'facts', rows.join(''))
}

/** The letter as HTML that loads nothing and runs nothing. */
export function renderHtml({ locale, heading, parts, footer }: Letter): string {
  return [
    '<!doctype html>',
    `<html lang="${locale}">`,
    '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">',
    `<title>${escapeHtml(heading)}</title>`,
    `<style>:root{color-scheme:light dark}@media(prefers-color-scheme:dark){${DARK}}</style></head>`,
    `<body class="page" style="${STYLE.page}">`,
    `<div class="card" style="${STYLE.card}">`,
    tag('h1', 'heading', escapeHtml(heading)),
    ...parts.map(renderPart),
    '</div>',
    tag('p', 'footer', escapeHtml(footer)),
    '</body></html>',
    '',
  ].join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
