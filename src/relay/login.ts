import ssh2, { type AnyAuthMethod, type Prompt, type SignCallback, type SigningRequestOptions } from 'ssh2'
import { type AlgorithmChoice, type HostKeyPin, PROMPTS_MAX } from '../contract/krp.ts'
import { RelayCredential, type SealedCredential } from '../contract/krp-secret.ts'
import type { SealingPrivateJwk } from '../contract/seal.ts'
import type { Ask, Login } from './attempt.ts'
import { createCertificateLogin } from './certificate.ts'
import { Refusal } from './refusal.ts'
import { openSigner, type Signer } from './signer.ts'
import { openCredential } from './unseal.ts'

/** What a credential was sealed for. */
export interface LoginBinding {
  readonly shell: string
  readonly host: string
  readonly port: number
  readonly pins: readonly HostKeyPin[]
  readonly jti: string
  readonly via: readonly string[]
}

/**
 * Opens what was sealed for this very grant.
 *
 * @throws Refusal credential-invalid
 */
export function openSealed(binding: LoginBinding, sealed: SealedCredential | undefined, key: SealingPrivateJwk): RelayCredential {
  if (sealed === undefined) throw new Refusal('credential-invalid')
  let plaintext: Buffer | undefined
  try {
    plaintext = openCredential(key, binding, sealed)
    return RelayCredential.parse(JSON.parse(plaintext.toString('utf8')))
  } catch {
    throw new Refusal('credential-invalid')
  } finally {
    plaintext?.fill(0)
  }
}

/** The login that a sealed credential makes. @throws Refusal credential-invalid */
export async function openLogin(
  binding: LoginBinding,
  sealed: SealedCredential | undefined,
  { key, algorithms }: { readonly key: SealingPrivateJwk; readonly algorithms: AlgorithmChoice },
): Promise<Login> {
  const credential = openSealed(binding, sealed, key)
  try {
    return withQuestions(await createLogin(credential, algorithms))
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('credential-invalid')
  }
}

async function createLogin(credential: RelayCredential, algorithms: AlgorithmChoice): Promise<Login> {
  switch (credential.kind) {
    case 'password':
      return createPasswordLogin(credential.password)
    case 'private-key':
      return createKeyLogin(await openSigner(credential.privateKey, credential.passphrase), algorithms)
    case 'certificate':
      return createCertificateLogin(credential)
    case 'keyboard-interactive':
      return { next: () => false, wipe: () => undefined }
  }
}

const KEYBOARD = 'keyboard-interactive'

/** When its own attempts are spent, or there are none, a login goes on with the target's questions if there is somebody to answer them. */
function withQuestions(login: Login): Login {
  let hasAsked = false
  return {
    ...login,
    next(turn) {
      const own = login.next(turn)
      if (own !== false) return own
      const mayAsk = turn.ask !== undefined && !hasAsked && (turn.left.length === 0 || turn.left.includes(KEYBOARD))
      if (!mayAsk || turn.ask === undefined) return false
      hasAsked = true
      return questions(turn.username, turn.ask)
    },
  }
}

type Asked = (prompts: readonly Prompt[], name: string, instruction: string) => Promise<readonly string[] | undefined>

/** No answer: the attempt hangs until the connection is given up, which whoever asked in vain has done by then. */
const keyboard = (username: string, answer: Asked): AnyAuthMethod => ({
  type: KEYBOARD,
  username,
  // biome-ignore lint/complexity/useMaxParams: the signature is the library's.
  prompt: (name, instruction, _language, prompts, finish) => {
    void answer(prompts, name, instruction).then((answers) => {
      if (answers !== undefined) finish([...answers])
    })
  },
})

const questions = (username: string, ask: Ask): AnyAuthMethod =>
  keyboard(username, async (prompts, name, instruction) => {
    if (prompts.length > PROMPTS_MAX) return undefined
    const asked = prompts.map(({ prompt, echo }) => ({ text: cleanWords(prompt), isEchoed: echo === true }))
    return ask({ name: cleanWords(name), instruction: cleanWords(instruction), prompts: asked })
  })

/** The target's words on their way to a person's screen: no control or direction characters, and not many. */
const cleanWords = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
    .replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu, '')
    .slice(0, 1_024)

function createPasswordLogin(text: string): Login {
  const password = Buffer.from(text, 'utf8')
  let attempts: ('password' | typeof KEYBOARD)[] = ['password', KEYBOARD]
  return {
    next({ username, left, isPartial, ask }) {
      // After a password that was right comes a second factor, whose question is for a person.
      if (isPartial) attempts = attempts.filter((name) => name !== KEYBOARD)
      const method = attempts.find((name) => left.length === 0 || left.includes(name))
      attempts = attempts.slice(method === undefined ? attempts.length : attempts.indexOf(method) + 1)
      // The protocol takes bytes, which can be wiped; only the type declarations want a string.
      if (method === 'password') return { type: 'password', username, password: password as unknown as string }
      if (method === KEYBOARD) return passwordByQuestion({ username, password, ask })
      return false
    },
    wipe() {
      attempts = []
      password.fill(0)
    },
  }
}

/** PAM asks for the password as a question: one, unseen, and the first. Whatever else is asked is for a person. */
function passwordByQuestion({ username, password, ask }: { username: string; password: Buffer; ask: Ask | undefined }): AnyAuthMethod {
  let isGiven = false
  return keyboard(username, async (prompts, name, instruction) => {
    const [first] = prompts
    if (!isGiven && prompts.length === 1 && first?.echo !== true) {
      isGiven = true
      return [password.toString('utf8')]
    }
    const asked = prompts.map(({ prompt, echo }) => ({ text: cleanWords(prompt), isEchoed: echo === true }))
    // Nobody can answer here, and an empty answer is a wrong one.
    if (ask === undefined || prompts.length > PROMPTS_MAX) return prompts.map(() => '')
    return ask({ name: cleanWords(name), instruction: cleanWords(instruction), prompts: asked })
  })
}

function createKeyLogin(signer: Signer, algorithms: AlgorithmChoice): Login {
  let isSpent = false
  return {
    next({ username }) {
      if (isSpent) return false
      isSpent = true
      return { type: 'agent', username, agent: new OneKeyAgent(signer, algorithms === 'legacy') }
    },
    wipe() {
      isSpent = true
      signer.close()
    },
  }
}

/** ssh2 falls back to SHA-1 signatures when a server names no algorithms; an agent of our own is asked for each signature and can say no. */
class OneKeyAgent extends ssh2.BaseAgent<string> {
  readonly #signer: Signer
  readonly #maySha1: boolean
  constructor(signer: Signer, maySha1: boolean) {
    super()
    this.#signer = signer
    this.#maySha1 = maySha1
  }
  override getIdentities(callback: (error: undefined, keys: string[]) => void): void {
    callback(undefined, [this.#signer.publicKey])
  }
  // biome-ignore lint/complexity/useMaxParams: the signature is the library's.
  override sign(_publicKey: string, data: Buffer, options: SigningRequestOptions | SignCallback, callback?: SignCallback): void {
    const reply = typeof options === 'function' ? options : callback
    const hash = typeof options === 'function' ? undefined : options.hash
    const isSha1 = this.#signer.publicKey.startsWith('ssh-rsa ') && hash !== 'sha256' && hash !== 'sha512'
    const isRefused = isSha1 && !this.#maySha1
    const signature = isRefused ? Promise.reject(new Error('SHA-1 signatures are refused')) : this.#signer.sign(data, hash)
    signature.then(
      (bytes) => reply?.(undefined, bytes),
      (error: Error) => reply?.(error),
    )
  }
}
