import type { ShellId } from '../../contract/shell.ts'

const KEY = 'parvis.opened'

/** Leaves word for the shell's page that nobody has watched this shell before. */
export const keepOpened = (id: ShellId): void => sessionStorage.setItem(KEY, id)

/** Whether this tab has just opened the shell; told once. */
export function wasOpenedHere(id: ShellId): boolean {
  const isOpened = sessionStorage.getItem(KEY) === id
  sessionStorage.removeItem(KEY)
  return isOpened
}
