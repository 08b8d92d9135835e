import { type ITheme, Terminal } from '@xterm/xterm'
import { PTY_SIDE_MAX } from '../../contract/krp.ts'

/** The terminal stays dark on light pages too: remote programs choose their colours for that. */
const THEME: ITheme = {
  background: '#151716',
  foreground: '#ecebe6',
  cursor: '#7fc4c0',
  cursorAccent: '#151716',
  selectionBackground: '#3d5755',
  black: '#262a29',
  red: '#f0917f',
  green: '#6cc28c',
  yellow: '#e0b05a',
  blue: '#7fa8e6',
  magenta: '#c79be0',
  cyan: '#7fc4c0',
  white: '#d8d7d1',
  brightBlack: '#7a807d',
  brightRed: '#ffb0a1',
  brightGreen: '#93dcae',
  brightYellow: '#f4cd86',
  brightBlue: '#a6c5f5',
  brightMagenta: '#dfbdf2',
  brightCyan: '#a4dcd9',
  brightWhite: '#ffffff',
}

/** xterm.js draws its scrollbar inside its own box and this wide. */
const SCROLLBAR_PX = 14

/** Columns and rows of a terminal. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/** CSI sequences whose number says how often xterm.js does something: tabs, lines inserted, deleted and scrolled, a character repeated. */
const REPEATING = 'ILMSTZb'

/** A host that asks for a billion of something would stop the page, so what goes beyond the screen is left out. */
function boundRepeats(terminal: Terminal): void {
  for (const final of REPEATING)
    terminal.parser.registerCsiHandler({ final }, ([count = 1]) => Number(count) > Math.max(terminal.cols, terminal.rows))
}

/** A terminal in its box. */
export function openTerminal(box: HTMLElement): Terminal {
  const terminal = new Terminal({
    theme: THEME,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--mono'),
    fontSize: 14,
    lineHeight: 1.2,
    scrollback: 10_000,
    cursorBlink: true,
  })
  boundRepeats(terminal)
  terminal.open(box)
  return terminal
}

const clamp = (side: number) => Math.max(1, Math.min(PTY_SIDE_MAX, Math.floor(side)))

/** How many columns and rows fill the box, by the cells as they are drawn now. */
function fittingSize(terminal: Terminal, box: HTMLElement): Size | undefined {
  const screen = box.querySelector('.xterm-screen')?.getBoundingClientRect()
  if (!screen || screen.width === 0 || screen.height === 0) return undefined
  const style = getComputedStyle(box)
  const width = box.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight) - SCROLLBAR_PX
  const height = box.clientHeight - Number.parseFloat(style.paddingTop) - Number.parseFloat(style.paddingBottom)
  return { columns: clamp((width * terminal.cols) / screen.width), rows: clamp((height * terminal.rows) / screen.height) }
}

/** Calls back with the fitting size now and whenever the box changes, once per frame at most. */
export function followBox(terminal: Terminal, box: HTMLElement, resized: (size: Size) => void): void {
  let frame = 0
  const follow = () => {
    const size = fittingSize(terminal, box)
    if (!size || (size.columns === terminal.cols && size.rows === terminal.rows)) return
    terminal.resize(size.columns, size.rows)
    resized(size)
  }
  new ResizeObserver(() => {
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(follow)
  }).observe(box)
  follow()
}

/** Full-screen programs use Tab, so the keyboard leaves the terminal by Shift and Escape (WCAG 2.1.2). */
export function letKeyboardLeave(terminal: Terminal, target: HTMLElement): void {
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.key !== 'Escape' || !event.shiftKey) return true
    if (event.type === 'keydown') target.focus()
    return false
  })
}
