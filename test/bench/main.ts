import { crowd, memory } from './crowd.ts'
import { floorRows, peerRows } from './identity.ts'
import { measureRooms } from './rooms.ts'
import { measureShells } from './shells.ts'
import { startStack } from './stack.ts'
import { printTable } from './table.ts'

async function measureIdentity(): Promise<void> {
  const stack = await startStack()
  try {
    await printTable(floorRows(stack))
    await printTable(await peerRows(stack))
    await crowd(stack)
    await memory(stack)
  } finally {
    await stack.stop()
  }
}

/** `npm run bench` measures all; `npm run bench -- rooms storm idle` or `-- shells echo` what is named. */
const [part, ...rows] = process.argv.slice(2)
if (part === undefined || part === 'identity') await measureIdentity()
if (part === undefined || part === 'rooms') await measureRooms(rows)
if (part === undefined || part === 'shells') await measureShells(rows)
