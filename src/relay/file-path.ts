import type { SFTPWrapper, Stats } from 'ssh2'
import type { OpenProblem } from '../contract/krp-problem.ts'
import { Refusal } from './refusal.ts'

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02 §7). */
const STATUS: Readonly<Record<number, OpenProblem>> = { 2: 'file-not-found', 3: 'file-denied', 8: 'file-unsupported' }

/** What a person is told of a status; the host's own words are none of ours. */
export const refusalOfStatus = (error: unknown): Refusal => {
  const code = error instanceof Error ? Number(Reflect.get(error, 'code')) : Number.NaN
  return new Refusal(STATUS[code] ?? 'file-failed')
}

/** One answer of SFTP as a promise. @throws Refusal */
export const answerOf = <T>(ask: (done: (error: Error | null | undefined, value: T) => void) => unknown): Promise<T> =>
  new Promise((resolve, reject) => {
    try {
      ask((error, value) => (error ? reject(refusalOfStatus(error)) : resolve(value)))
    } catch {
      reject(new Refusal('file-failed'))
    }
  })

/**
 * Where a path really leads, if that lies under a root. Links are followed first, so none leads out, and what a server that follows none calls
 * real is refused where a link is left in it. Whoever may change links on the host meanwhile has the host's own rights, which bind in any case.
 *
 * @throws Refusal `file-outside`, `file-not-found`, `file-denied` or `file-failed`
 */
export async function realPathOf(sftp: SFTPWrapper, path: string, roots: readonly string[]): Promise<string> {
  const real = await answerOf<string>((done) => sftp.realpath(path, done))
  await requireInside(sftp, real, roots)
  return real
}

/** Where a file that may not be there yet would lie: its folder must lie under a root, and no link may stand in its place. @throws Refusal */
export async function newPathOf(
  sftp: SFTPWrapper,
  path: string,
  roots: readonly string[],
): Promise<{ readonly path: string; readonly present: Stats | undefined }> {
  const cut = path.lastIndexOf('/')
  const name = path.slice(cut + 1)
  if (name === '' || name === '.' || name === '..') throw new Refusal('file-outside')
  const folder = await realPathOf(sftp, path.slice(0, cut) || '/', roots)
  const real = `${folder === '/' ? '' : folder}/${name}`
  const present = await answerOf<Stats>((done) => sftp.lstat(real, done)).catch((error: unknown) => {
    if (error instanceof Refusal && error.code === 'file-not-found') return undefined
    throw error
  })
  if (present && !present.isFile()) throw new Refusal(present.isSymbolicLink() ? 'file-outside' : 'file-wrong-kind')
  return { path: real, present }
}

async function requireInside(sftp: SFTPWrapper, real: string, roots: readonly string[]): Promise<void> {
  if (roots.includes('/')) return
  if (!(await isUnderOne(sftp, real, roots))) throw new Refusal('file-outside')
  await requireNoLinks(sftp, real)
}

async function isUnderOne(sftp: SFTPWrapper, real: string, roots: readonly string[]): Promise<boolean> {
  for (const root of roots) {
    const under = await answerOf<string>((done) => sftp.realpath(root, done)).catch(() => undefined)
    if (under !== undefined && (real === under || real.startsWith(under === '/' ? '/' : `${under}/`))) return true
  }
  return false
}

/** What bounds the questions about one path. */
const NAMES_MAX = 128

async function requireNoLinks(sftp: SFTPWrapper, real: string): Promise<void> {
  const names = real.split('/').slice(1)
  if (!real.startsWith('/') || names.length > NAMES_MAX || names.some((name) => name === '.' || name === '..'))
    throw new Refusal('file-outside')
  const paths = names.map((_, i) => `/${names.slice(0, i + 1).join('/')}`)
  const found = await Promise.all(paths.map((path) => answerOf<Stats>((done) => sftp.lstat(path, done))))
  if (found.some((stats) => stats.isSymbolicLink())) throw new Refusal('file-outside')
}
