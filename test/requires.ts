import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, test } from 'vitest'

/** Programs of the machine that some tests drive for real; everything else comes with `npm ci`. */
const SYSTEMS = {
  sshd: { names: ['sshd'], debian: 'openssh-server' },
  chromium: { names: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'], debian: 'chromium' },
} as const
export type SystemName = keyof typeof SYSTEMS

/** Daemons live where a user's PATH does not look. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const find = (names: readonly string[]): string | undefined =>
  names.flatMap((name) => FOLDERS.map((folder) => join(folder, name))).find(isExecutable)

export const SSHD_PATH = find(SYSTEMS.sshd.names)
export const CHROMIUM_PATH = find(SYSTEMS.chromium.names)
const PATHS: Record<SystemName, string | undefined> = { sshd: SSHD_PATH, chromium: CHROMIUM_PATH }

/** The path of the program, or one sentence saying what is missing. */
export function requireSystem(name: SystemName): { readonly path: string } | { readonly missing: string } {
  const path = PATHS[name]
  return path ? { path } : { missing: `needs ${name}; on Debian: apt-get install ${SYSTEMS[name].debian}` }
}

/**
 * The one gate before tests that need a program of the machine. Without it they are skipped and the reason stands in their name;
 * with `CI=true` its absence is a failure, so nothing is ever skipped unseen.
 */
export function describeWith(name: SystemName, title: string, body: (path: string) => void): void {
  const found = requireSystem(name)
  if ('path' in found) return void describe(title, () => body(found.path))
  if (process.env['CI'] !== 'true') return void describe.skipIf(true)(`${title} [${found.missing}]`, () => body(''))
  describe(title, () => {
    test(`finds ${name}`, () => {
      throw new Error(found.missing)
    })
  })
}

/** A test of what only root can set up; elsewhere it is skipped, CI's runners included, and its name says why. */
export function testWhere(canRun: boolean, name: string, body: () => Promise<void>): void {
  if (canRun) return void test(name, body)
  test.skip(`${name} [needs root, who puts files in place for one process]`, body)
}
