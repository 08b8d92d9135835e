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

export function createFileDigest(): FileDigest {
  const stream = new crypto.DigestStream('SHA-256')
  const writer = stream.getWriter()
  let fileBytes = 0
  let ended: Promise<Carried> | undefined
  const finish = async (): Promise<Carried> => {
    await writer.close()
    const hex = Array.from(new Uint8Array(await stream.digest), (byte) => byte.toString(16).padStart(2, '0'))
    return { fileBytes, fileSha256: hex.join('') }
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
