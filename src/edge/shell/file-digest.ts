import { toHex } from '../platform/hex.ts'

/** What a transfer carried. */
export interface Carried {
  readonly fileBytes: number
  /** SHA-256 in lower-case hex. */
  readonly fileSha256: string
}

/** Counts and digests bytes as they pass. */
export interface FileDigest {
  readonly take: (bytes: Uint8Array) => Promise<void>
  /** What has passed so far; nothing passes after it. */
  readonly end: () => Promise<Carried>
}

/** Begins a digest of what a transfer carries. */
export function createFileDigest(): FileDigest {
  const stream = new crypto.DigestStream('SHA-256')
  const writer = stream.getWriter()
  let fileBytes = 0
  let ended: Promise<Carried> | undefined
  const finish = async (): Promise<Carried> => {
    await writer.close()
    return { fileBytes, fileSha256: toHex(new Uint8Array(await stream.digest)) }
  }
  return {
    async take(bytes) {
      fileBytes += bytes.length
      await writer.write(bytes)
    },
    end() {
      ended ??= finish()
      return ended
    },
  }
}
