import { crowd, memory } from './crowd.ts'
import { floorRows, peerRows } from './identity.ts'
import { startStack } from './stack.ts'
import { printTable } from './table.ts'

const stack = await startStack()
try {
  await printTable(floorRows(stack))
  await printTable(await peerRows(stack))
  await crowd(stack)
  await memory(stack)
} finally {
  await stack.stop()
}
