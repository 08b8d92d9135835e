import { crowd } from './crowd.ts'
import { memory } from './heap.ts'
import { floorRows, peerRows } from './identity.ts'
import { measureRooms } from './rooms.ts'
import { measureShells } from './shells.ts'
import { type Stack, startStack } from './stack.ts'
import { printTable } from './table.ts'

const IDENTITY: Readonly<Record<string, (stack: Stack) => Promise<void>>> = {
  floor: async (stack) => printTable(floorRows(stack)),
  peers: async (stack) => printTable(await peerRows(stack)),
  crowd,
}

async function measureIdentity(wanted: readonly string[]): Promise<void> {
  if (wanted.length === 0 || wanted.includes('memory')) await memory()
  if (wanted.length > 0 && !Object.keys(IDENTITY).some((name) => wanted.includes(name))) return
  const stack = await startStack()
  try {
    for (const [name, measure] of Object.entries(IDENTITY)) if (wanted.length === 0 || wanted.includes(name)) await measure(stack)
  } finally {
    await stack.stop()
  }
}

/** `npm run bench` measures all; `npm run bench -- rooms storm idle` or `-- identity memory` what is named. */
const [part, ...rows] = process.argv.slice(2)
if (part === undefined || part === 'identity') await measureIdentity(rows)
if (part === undefined || part === 'rooms') await measureRooms(rows)
if (part === undefined || part === 'shells') await measureShells(rows)
// Editors whose server was killed under them would go on trying to come back.
process.exit()
