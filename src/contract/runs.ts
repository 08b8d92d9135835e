import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { HostId, HostTag } from './hosts.ts'
import { Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { UserId } from './identity.ts'
import { RemoteEnv } from './krp.ts'
import { OrgId } from './orgs.ts'
import { PROBLEMS, type ProblemSlug } from './problem.ts'
import { ExecCommand, ShellId } from './shell.ts'

/** Hosts of one run. */
export const RUN_HOSTS_MAX = 200
/** Hosts at a time: below what one user may have open, so that a run leaves room for a shell. */
export const RUN_PARALLEL_MAX = 16
/** Runs of one user that are under way. */
export const RUNS_PER_USER_MAX = 4
/** Output kept per stream and host, in UTF-16 units; the middle is dropped beyond it. */
export const RUN_OUTPUT_CHARS_MAX = 32_768
/** Longest input of a command on many hosts, in UTF-16 units. */
export const RUN_STDIN_CHARS_MAX = 65_536
/** What the hosts said is kept for so long; the run itself stays on record. */
export const RUN_RESULTS_DAYS = 30
/** A stream of events ends after this long, so that whoever follows proves again that they may; `Last-Event-ID` goes on. */
export const RUN_FOLLOW_SECONDS = 60

/** Id of a run. */
export const RunId = prefixedId('run', 'RunId')
/** Id of a run. */
export type RunId = z.infer<typeof RunId>

/** Done: every host had its turn. Stopped: one failed and the rest was left out. Cancelled: somebody ended it, or lost the right to run it. */
export const RunState = z.enum(['running', 'done', 'stopped', 'cancelled']).meta({ id: 'RunState' })
/** Where a run stands. */
export type RunState = z.infer<typeof RunState>

/** Unknown: nobody saw how it ended, and it is never run again. Skipped: its turn never came. */
export const RunHostState = z
  .enum(['waiting', 'running', 'done', 'timed-out', 'failed', 'unknown', 'skipped'])
  .meta({ id: 'RunHostState', description: '`done` says that the command ended by itself; `exitCode` says how.' })
/** Where one host of a run stands. */
export type RunHostState = z.infer<typeof RunHostState>

/** What happened on one host. */
export const RunHost = z
  .object({
    seq: z.int().meta({ description: 'Grows with every change of any host of the run.' }),
    hostId: HostId,
    name: z.string(),
    state: RunHostState,
    shellId: ShellId.nullable().meta({ description: 'Under which the command log has it; null until it begins.' }),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    killed: z.enum(['confirmed', 'unconfirmed']).nullable().meta({ description: 'After a timeout: whether the host confirmed the end.' }),
    stdout: z.string(),
    stderr: z.string(),
    truncated: z.boolean(),
    problem: z.enum(Object.keys(PROBLEMS) as [ProblemSlug, ...ProblemSlug[]]).nullable(),
    durationMs: z.int().nullable(),
  })
  .meta({ id: 'RunHost' })
/** What happened on one host. */
export type RunHost = z.infer<typeof RunHost>

/** One command on many hosts. `succeeded` counts exit code 0, `failed` everything else that began or could not. */
export const Run = z
  .object({
    id: RunId,
    orgId: OrgId,
    userId: UserId.nullable(),
    command: z.string(),
    parallel: z.int(),
    stopOnFailure: z.boolean(),
    state: RunState,
    hosts: z.int(),
    succeeded: z.int(),
    failed: z.int(),
    createdAt: Moment,
    endedAt: Moment.optional(),
  })
  .meta({ id: 'Run' })
/** One command on many hosts. */
export type Run = z.infer<typeof Run>

const OneOf = z
  .union([
    z.strictObject({ tag: HostTag }),
    z.strictObject({
      hostIds: z
        .array(HostId)
        .min(1)
        .max(RUN_HOSTS_MAX)
        .refine((ids) => new Set(ids).size === ids.length, 'repeats a host'),
    }),
  ])
  .meta({ id: 'RunTargets', description: 'All hosts that carry a tag now, or these.' })

/** What a run tells whoever follows it: every change of a host in their order, then itself when it is over. */
export const RunEvent = z
  .discriminatedUnion('event', [z.object({ event: z.literal('host'), data: RunHost }), z.object({ event: z.literal('run'), data: Run })])
  .meta({ id: 'RunEvent' })
/** What a run tells whoever follows it. */
export type RunEvent = z.infer<typeof RunEvent>

/** What `startRun` takes. The command is `ExecCommand` for every host. */
export const StartRun = z
  .strictObject({
    on: OneOf,
    command: ExecCommand.shape.command,
    timeoutSeconds: ExecCommand.shape.timeoutSeconds,
    env: RemoteEnv.default({}),
    stdin: z.string().max(RUN_STDIN_CHARS_MAX).default(''),
    parallel: z.int().min(1).max(RUN_PARALLEL_MAX).default(5),
    stopOnFailure: z
      .boolean()
      .default(false)
      .meta({ description: 'After the first failure nothing more is begun; what runs ends by itself.' }),
  })
  .meta({ id: 'StartRun' })
/** What `startRun` takes. */
export type StartRun = z.output<typeof StartRun>

const OrgPath = z.strictObject({ orgId: OrgId })
const RunPath = z.strictObject({ runId: RunId })

/** Commands on many hosts. */
export const runEndpoints = {
  startRun: endpoint({
    id: 'startRun',
    method: 'POST',
    path: '/v1/orgs/:orgId/runs',
    tag: 'shells',
    access: 'user',
    scope: 'shells:write',
    isSensitive: true,
    summary: 'Run one command on many hosts, some at a time. It goes on without you. Owners and operators.',
    params: OrgPath,
    body: StartRun,
    success: 201,
    response: Run,
    problems: ['not-found', 'forbidden', 'step-up-required', 'command-forbidden', 'host-unsuited', 'limit-reached'],
  }),
  listRuns: endpoint({
    id: 'listRuns',
    method: 'GET',
    path: '/v1/orgs/:orgId/runs',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'What was run on many hosts of the organisation, newest first.',
    params: OrgPath,
    query: PageQuery,
    success: 200,
    response: pageOf(Run, 'RunPage'),
    problems: ['not-found'],
  }),
  getRun: endpoint({
    id: 'getRun',
    method: 'GET',
    path: '/v1/runs/:runId',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'One run of an organisation you belong to.',
    params: RunPath,
    success: 200,
    response: Run,
    problems: ['not-found'],
  }),
  listRunHosts: endpoint({
    id: 'listRunHosts',
    method: 'GET',
    path: '/v1/runs/:runId/hosts',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'What happened on each host of a run, in the order in which they have their turn.',
    params: RunPath,
    query: PageQuery,
    success: 200,
    response: pageOf(RunHost, 'RunHostPage'),
    problems: ['not-found', 'forbidden', 'gone'],
  }),
  followRun: endpoint({
    id: 'followRun',
    method: 'GET',
    path: '/v1/runs/:runId/events',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'Follow a run: every change of a host in their order, then the run itself when it is over.',
    params: RunPath,
    success: 200,
    response: RunEvent,
    stream: 'events',
    problems: ['not-found', 'forbidden', 'gone', 'limit-reached'],
  }),
  cancelRun: endpoint({
    id: 'cancelRun',
    method: 'POST',
    path: '/v1/runs/:runId/cancel',
    tag: 'shells',
    access: 'user',
    scope: 'shells:write',
    summary: 'Leave out the hosts whose turn has not come; what runs ends by itself. Whoever started it, and owners.',
    params: RunPath,
    success: 200,
    response: Run,
    problems: ['not-found', 'forbidden'],
  }),
}
