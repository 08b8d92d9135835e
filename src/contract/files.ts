import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { HostId } from './hosts.ts'
import { RemotePath } from './krp.ts'

/** Largest file that is read or written; what a request may carry at the edge. */
export const FILE_BYTES_MAX = 100 * 1024 * 1024
/** Longest transfer. */
export const FILE_SECONDS_MAX = 900

/** What lies in a folder of a host, as the host tells it. Names are the host's: show them as text. */
export const FileList = z
  .object({
    path: z.string().meta({ description: 'Where the path really leads.' }),
    entries: z.array(
      z.object({
        name: z.string(),
        type: z.enum(['file', 'folder', 'link', 'other']),
        bytes: z.number(),
        mode: z.int().meta({ description: 'Permission bits.', example: 420 }),
        modifiedAt: z.number().meta({ description: 'Unix seconds, by the clock of the host.' }),
      }),
    ),
    isTruncated: z.boolean(),
  })
  .meta({ id: 'FileList' })
/** What lies in a folder of a host. */
export type FileList = z.infer<typeof FileList>

/** Which file. */
export const FileQuery = z.strictObject({ path: RemotePath })
/** Which file to write, and whether one that is there is replaced. */
export const WriteFileQuery = FileQuery.extend({
  overwrite: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true'),
})

/** What a written file came to. */
export const WrittenFile = z.object({ bytes: z.int() }).meta({ id: 'WrittenFile' })
/** What a written file came to. */
export type WrittenFile = z.infer<typeof WrittenFile>

const HostPath = z.strictObject({ hostId: HostId })

const FILE = {
  tag: 'shells',
  access: 'user',
  scope: 'shells:write',
  isSensitive: true,
  looksItself: true,
  limit: 'write',
  params: HostPath,
  problems: [
    'not-found',
    'forbidden',
    'step-up-required',
    'access-required',
    'limit-reached',
    'host-unsuited',
    'hook-refused',
    'hook-failed',
    'quota-reached',
    'target-forbidden',
    'host-unreachable',
    'host-key-unknown',
    'host-key-mismatch',
    'host-refused',
    'file-not-found',
    'file-denied',
    'file-failed',
    'file-exists',
    'payload-too-large',
  ],
} as const

/** Files on hosts. */
export const fileEndpoints = {
  listFiles: endpoint({
    ...FILE,
    id: 'listFiles',
    method: 'GET',
    path: '/v1/hosts/:hostId/files',
    summary: 'What lies in a folder of a host, by SFTP. Owners and operators.',
    query: FileQuery,
    success: 200,
    response: FileList,
  }),
  readFile: endpoint({
    ...FILE,
    id: 'readFile',
    method: 'GET',
    path: '/v1/hosts/:hostId/file',
    summary: 'Read a file of a host, as bytes. Owners and operators.',
    query: FileQuery,
    success: 200,
    response: z.undefined(),
    stream: 'bytes',
  }),
  writeFile: endpoint({
    ...FILE,
    id: 'writeFile',
    method: 'PUT',
    path: '/v1/hosts/:hostId/file',
    summary: 'Write a file on a host: it appears whole or not at all. The body is its bytes. Owners and operators.',
    query: WriteFileQuery,
    bodyBytesMax: FILE_BYTES_MAX,
    success: 201,
    response: WrittenFile,
    stream: 'upload',
  }),
}
