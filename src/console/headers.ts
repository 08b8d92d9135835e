/**
 * Where a page's styles may come from: our own files; `inline` where a kept library writes style elements of its own; `player` where one also
 * makes its markup from templates and draws by WebAssembly, all of it bundled by us. What is played is drawn as text and never becomes markup.
 */
export type Styles = 'own' | 'inline' | 'player'

/** The policy of a page. Forms are sent by scripts alone, so a native submission, which could put a secret in a URL, is refused. */
export const pagePolicy = (styles: Styles): string =>
  [
    "default-src 'none'",
    styles === 'player' ? "script-src 'self' 'wasm-unsafe-eval'" : "script-src 'self'",
    styles === 'own' ? "style-src 'self'" : "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // No script of ours turns text into markup or code, so nobody else's may.
    ...(styles === 'player' ? [] : ["require-trusted-types-for 'script'", "trusted-types 'none'"]),
  ].join('; ')
