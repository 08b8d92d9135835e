import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Complaint, codeOf } from './complaint.ts'
import { commandOf } from './processes.ts'

/** One stack per folder: two would write the same database. @returns how to let go @throws Complaint */
export function takeLock(path: string): () => void {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    const pid = Number(readFileSync(path, 'utf8'))
    // A process number is given again after a while, so the program must be this one too.
    if (commandOf(pid)?.includes('start.ts'))
      throw new Complaint(`Parvis already runs from this folder, as process ${pid}: stop that one first.`)
    rmSync(path, { force: true })
    return takeLock(path)
  }
  return () => rmSync(path, { force: true })
}
