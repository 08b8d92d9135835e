import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { HostKeyPin, HostKeyType } from '../../src/contract/krp.ts'
import { requireSystem } from '../requires.ts'

const TEST_UID = 54_321

export type KeyKind = 'ed25519' | 'ecdsa' | 'rsa'
export interface SshdHostKey extends HostKeyPin {
  /** The blob in base64, as in `known_hosts`. */
  readonly key: string
}
export interface Sshd {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly user: string
  /** Accepted for `user`, no passphrase. */
  readonly privateKey: string
  readonly hostKeys: readonly SshdHostKey[]
  readonly directory: string
  stop(): Promise<void>
}

export interface SshdOptions {
  readonly hostKeys?: readonly KeyKind[]
  readonly lines?: readonly string[]
  readonly port?: number
  /** Through PAM, which asks for it live, as for a password of the moment. Where {@link canAsk}. */
  readonly asksFor?: string
}

/**
 * A real sshd on a free loopback port with keys of its own; it knows no password and touches no account of the machine. Started by root, it lives in
 * a mount namespace where one more account exists, because OpenSSH delivers no signals to programs of root.
 */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const found = requireSystem('sshd')
  if ('missing' in found) throw new Error(found.missing)
  const directory = mkdtempSync(join(tmpdir(), 'parvis-sshd-'))
  chmodSync(directory, 0o755)
  const account = makeAccount(directory, options.asksFor)
  const hostKeys = (options.hostKeys ?? ['ed25519']).map((kind) => makeKey(join(directory, `host_${kind}`), kind))
  const userKey = makeKey(join(directory, 'user'), 'ed25519')
  writeFileSync(join(directory, 'authorized_keys'), `${userKey.line}\n`, { mode: 0o644 })
  const port = options.port ?? (await freePort())
  const config = [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    ...hostKeys.map(({ path }) => `HostKey ${path}`),
    `AuthorizedKeysFile ${join(directory, 'authorized_keys')}`,
    `PidFile ${join(directory, 'pid')}`,
    `UsePAM ${options.asksFor === undefined ? 'no' : 'yes'}`,
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    `KbdInteractiveAuthentication ${options.asksFor === undefined ? 'no' : 'yes'}`,
    'AcceptEnv LANG LC_* PARVIS_*',
    'MaxStartups 100',
    ...(options.lines ?? []),
  ]
  writeFileSync(join(directory, 'config'), `${config.join('\n')}\n`)
  const [command = found.path, ...args] = [...account.wrapper, found.path, '-D', '-e', '-f', join(directory, 'config')]
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    const said: string[] = []
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line)
      if (line.includes('Server listening on')) resolve()
    })
    child.once('exit', () => reject(new Error(`sshd ended: ${said.join(' / ')}`)))
    child.once('error', reject)
  })
  return {
    host: '127.0.0.1',
    port,
    user: account.user,
    privateKey: readFileSync(join(directory, 'user'), 'utf8'),
    hostKeys: hostKeys.map(({ type, fingerprint, key }) => ({ type, fingerprint, key })),
    directory,
    async stop() {
      child.kill('SIGTERM')
      await gone
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

interface Account {
  readonly user: string
  /** Goes before the command that starts sshd. */
  readonly wrapper: readonly string[]
}

function makeAccount(directory: string, asksFor: string | undefined): Account {
  if (process.getuid?.() !== 0) return { user: userInfo().username, wrapper: [] }
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const home = join(directory, 'home')
  mkdirSync(home)
  chownSync(home, TEST_UID, TEST_UID)
  writeFileSync(
    join(directory, 'passwd'),
    `${readFileSync('/etc/passwd', 'utf8')}parvis-test:x:${TEST_UID}:${TEST_UID}::${home}:/bin/bash\n`,
  )
  const mounts = [
    `mount --bind ${join(directory, 'passwd')} /etc/passwd`,
    ...(asksFor === undefined ? [] : [`mount --bind ${makePamService(directory, asksFor)} /etc/pam.d/sshd`]),
  ]
  const wrapper = [...MOUNT_NAMESPACE, `${mounts.join(' && ')} && exec "$0" "$@"`]
  const canMount = spawnSync(wrapper[0] ?? '', [...wrapper.slice(1), 'true']).status === 0
  return canMount ? { user: 'parvis-test', wrapper } : { user: 'root', wrapper: [] }
}

const MOUNT_NAMESPACE = ['unshare', '--mount', 'sh', '-c'] as const

/** PAM is root's, and what it reads must be put in its place for this sshd alone. */
export const canAsk = (): boolean =>
  process.getuid?.() === 0 &&
  existsSync('/etc/pam.d/sshd') &&
  spawnSync(MOUNT_NAMESPACE[0], [...MOUNT_NAMESPACE.slice(1), 'mount --bind /etc/hostname /etc/hostname']).status === 0

function makePamService(directory: string, answer: string): string {
  const check = join(directory, 'check')
  writeFileSync(check, `#!/bin/sh\nread -r said\n[ "$said" = '${answer}' ]\n`, { mode: 0o755 })
  const service = join(directory, 'pam')
  // pam_exec decides nothing but the question; the rest of a login is let pass.
  const lines = [
    `auth required pam_exec.so expose_authtok quiet ${check}`,
    ...['auth', 'account', 'session'].map((of) => `${of} required pam_permit.so`),
  ]
  writeFileSync(service, `${lines.join('\n')}\n`)
  return service
}

/** As OpenSSH shows the key of this blob. */
export const fingerprintOfKey = (blob: Buffer): string => `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`

/** Makes a key with `ssh-keygen`. */
export function makeKey(path: string, kind: KeyKind, passphrase = ''): SshdHostKey & { path: string; line: string } {
  execFileSync('ssh-keygen', ['-q', '-t', kind, ...(kind === 'rsa' ? ['-b', '2048'] : []), '-N', passphrase, '-C', 'test', '-f', path])
  const [type = '', key = ''] = readFileSync(`${path}.pub`, 'utf8').split(' ')
  const fingerprint = fingerprintOfKey(Buffer.from(key, 'base64'))
  return { path, type: type as HostKeyType, key, fingerprint, line: `${type} ${key}` }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
