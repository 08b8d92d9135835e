import { encode, writeUint8Array, writeVarUint } from 'lib0/encoding'
import * as Y from 'yjs'

type Struct = ReturnType<typeof Y.decodeUpdate>['structs'][number]
type Deletions = ReturnType<typeof Y.decodeUpdate>['ds']

/** A frame of a room ends at 1 MiB; with half of that a piece shares its window with what others write. */
export const PIECE_BYTES = 524_288
/** What two numbers of a deletion take at most. */
const DELETION_BYTES = 20

/** What is left of one author's changes. */
interface Queue {
  readonly structs: Struct[]
  at: number
}

/** Splits an update into pieces that can be taken in one after the other; one that is small stays as it is. */
export function* piecesOf(update: Uint8Array, bytesMax = PIECE_BYTES): Iterable<Uint8Array> {
  if (update.byteLength <= bytesMax) return yield update
  const { structs, ds } = Y.decodeUpdate(update)
  let piece = newPiece()
  for (const struct of inOrder(queuesOf(structs, bytesMax))) {
    const bytes = bytesOf(struct)
    if (piece.bytes > 0 && piece.bytes + bytes.byteLength > bytesMax) {
      yield encodePiece(piece)
      piece = newPiece()
    }
    const { client, clock } = struct.id
    const run = piece.runs.get(client) ?? { clock, structs: [] }
    run.structs.push(bytes)
    piece.runs.set(client, run)
    piece.bytes += bytes.byteLength
  }
  if (piece.bytes > 0) yield encodePiece(piece)
  yield* deletionPieces(ds, bytesMax)
}

interface Piece {
  /** Of each author: where it begins and what follows. */
  readonly runs: Map<number, { readonly clock: number; readonly structs: Uint8Array[] }>
  bytes: number
}

const newPiece = (): Piece => ({ runs: new Map(), bytes: 0 })

/** Yjs's first encoding of updates: by author how many, who, from where, and the changes; then the deletions. */
const encodePiece = ({ runs }: Piece): Uint8Array =>
  encode((e) => {
    writeVarUint(e, runs.size)
    for (const [client, { clock, structs }] of runs) {
      writeVarUint(e, structs.length)
      writeVarUint(e, client)
      writeVarUint(e, clock)
      for (const struct of structs) writeUint8Array(e, struct)
    }
    writeVarUint(e, 0)
  })

function bytesOf(struct: Struct): Uint8Array {
  const encoder = new Y.UpdateEncoderV1()
  struct.write(encoder, 0)
  return encoder.toUint8Array()
}

function queuesOf(structs: readonly Struct[], bytesMax: number): ReadonlyMap<number, Queue> {
  const queues = new Map<number, Queue>()
  for (const struct of structs) {
    if (struct instanceof Y.Skip) continue
    const queue = queues.get(struct.id.client) ?? { structs: [], at: 0 }
    queues.set(struct.id.client, queue)
    queue.structs.push(...inParts(struct, bytesMax))
  }
  return queues
}

/** Everything after what it builds on. */
function* inOrder(queues: ReadonlyMap<number, Queue>): Iterable<Struct> {
  for (const client of queues.keys()) {
    const stack = [client]
    while (stack.length > 0) {
      const queue = queues.get(stack.at(-1) as number)
      const next = queue?.structs[queue.at]
      const lacking = next && lackOf(next, queues)
      if (lacking !== undefined) {
        stack.push(lacking)
        continue
      }
      if (queue && next) {
        queue.at++
        yield next
      }
      if (!next || stack.length > 1) stack.pop()
    }
  }
}

/** Another author whose changes must come first. */
function lackOf(struct: Struct, queues: ReadonlyMap<number, Queue>): number | undefined {
  if (!(struct instanceof Y.Item)) return undefined
  const parent: unknown = struct.parent
  const needed = [struct.origin, struct.rightOrigin, parent instanceof Y.ID ? parent : null]
  return needed.find((id) => id && isAhead(id, queues) && id.client !== struct.id.client)?.client
}

function isAhead({ client, clock }: Y.ID, queues: ReadonlyMap<number, Queue>): boolean {
  const queue = queues.get(client)
  const next = queue?.structs[queue.at]
  return next !== undefined && clock >= next.id.clock
}

/** A long text or list is one change to Yjs; it splits them itself where others write into them. */
function inParts(struct: Struct, bytesMax: number): readonly Struct[] {
  if (!(struct instanceof Y.Item) || struct.length < 2 || bytesOf(struct).byteLength <= bytesMax) return [struct]
  const { id, origin, rightOrigin, parent, parentSub, content } = struct
  if (!(content instanceof Y.ContentString || content instanceof Y.ContentAny || content instanceof Y.ContentJSON)) return [struct]
  const middle = middleOf(content)
  const rest = content.splice(middle)
  const left = new Y.Item(id, null, origin, null, rightOrigin, parent, parentSub, content)
  const last = Y.createID(id.client, id.clock + middle - 1)
  const right = new Y.Item(Y.createID(id.client, id.clock + middle), null, last, null, rightOrigin, parent, parentSub, rest)
  return [...inParts(left, bytesMax), ...inParts(right, bytesMax)]
}

/** Not between the two halves of a character. */
function middleOf(content: Y.ContentString | Y.ContentAny | Y.ContentJSON): number {
  const middle = Math.floor(content.getLength() / 2)
  if (!(content instanceof Y.ContentString)) return middle
  const code = content.str.charCodeAt(middle - 1)
  return code >= 0xd800 && code <= 0xdbff && middle + 1 < content.getLength() ? middle + 1 : middle
}

function* deletionPieces({ clients }: Deletions, bytesMax: number): Iterable<Uint8Array> {
  const count = Math.max(1, Math.floor(bytesMax / DELETION_BYTES))
  for (const [client, items] of clients) {
    for (let at = 0; at < items.length; at += count) yield encodeDeletions(client, items.slice(at, at + count))
  }
}

const encodeDeletions = (client: number, items: readonly { readonly clock: number; readonly len: number }[]): Uint8Array =>
  encode((e) => {
    for (const number of [0, 1, client, items.length]) writeVarUint(e, number)
    for (const { clock, len } of items) {
      writeVarUint(e, clock)
      writeVarUint(e, len)
    }
  })
