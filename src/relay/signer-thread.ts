import { parentPort, workerData } from 'node:worker_threads'
import * as z from 'zod'
import { publicLineOf, readPrivateKey, type SignerAnswer, signWith } from './signer.ts'

const KeyText = z.object({ privateKey: z.string(), passphrase: z.string() })
const SignRequest = z.object({ data: z.instanceof(Uint8Array), hash: z.enum(['sha1', 'sha256', 'sha512']).optional() })

const answer = (make: () => SignerAnswer): void => {
  try {
    parentPort?.postMessage(make())
  } catch {
    parentPort?.postMessage({ failed: true } satisfies SignerAnswer)
  }
}

answer(() => {
  const { privateKey, passphrase } = KeyText.parse(workerData)
  const key = readPrivateKey(privateKey, passphrase)
  parentPort?.on('message', (message) =>
    answer(() => {
      const { data, hash } = SignRequest.parse(message)
      return { signature: signWith(key, Buffer.from(data), hash) }
    }),
  )
  return { publicKey: publicLineOf(key) }
})
