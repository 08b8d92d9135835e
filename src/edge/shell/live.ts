import type { InputGate } from '../../contract/viewer.ts'
import type { Env } from '../env.ts'
import { type Config, readConfig } from '../platform/config.ts'
import { newId } from '../platform/id.ts'
import { type Log, logFor } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { traceFrom } from '../platform/trace.ts'
import { type AlertScan, createAlertScan } from './alert-scan.ts'
import { type Hub, openHub } from './hub.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { createLineDetector, type EnteredLine, type LineDetector } from './line-detector.ts'
import { loadRecord, type ShellRecord, saveRecord } from './record.ts'
import { openRecorder } from './recorder.ts'
import type { HostHop } from './rpc.ts'
import type { Asked, RelayStream } from './stream.ts'
import { openTape, type Tape } from './tape.ts'
import { createTypists, type Typists } from './typists.ts'

/** The present connection to the relay. */
export interface Wire {
  /** Absent only while the relay's answer is being taken. */
  stream: RelayStream | undefined
  /** Output up to here may come. */
  grantedOffset: number
  /** Output up to here the relay has forgotten, because it is durable here. */
  ackedOffset: number
  isSettling: boolean
}

/** A shell in memory. All of it but the record, the tape and the ledger can be lost at any moment without harm. */
export interface LiveShell {
  readonly ctx: DurableObjectState
  readonly env: Env
  readonly config: Config
  readonly hub: Hub
  readonly tape: Tape
  readonly ledger: Ledger
  readonly typists: Typists
  /** Absent only for shells that were opened before there were recordings. */
  readonly keeper: Keeper | undefined
  /** Reads command lines off what is shown. */
  readonly detector: LineDetector
  /** There may be room for more output; the recording cannot go on. */
  onRoom: () => void
  onUnrecorded: (reason: string) => void
  readonly alertScan: AlertScan
  record: ShellRecord
  wire: Wire | undefined
  /** The attempt under way to attach. */
  dialing: Promise<void> | undefined
  /** The relay has been asked to open and has not answered yet: gives that up. */
  opening: AbortController | undefined
  /** What a host asks and nobody has answered yet, and which one. */
  asked: (Asked & { readonly host: Pick<HostHop, 'hostId' | 'name'> }) | undefined
  /** Whoever waits for the shell need not wait for a person. */
  onAsked: () => void
  /** Failed attempts to attach in a row, and when the next may begin. */
  attempts: number
  retryAt: number
  /** Since when nobody watches. */
  emptySince: number
  /** When people's standing was last checked. */
  checkedAt: number
  reporting: Promise<void> | undefined
  reportAt: number
  /** When the object will be woken, as far as this memory knows. */
  alarmAt: number | undefined
  readonly onEnded: Set<() => void>
  /** Messages that each viewer may still send at once, as of a moment. */
  readonly traffic: Map<string, { readonly left: number; readonly at: number }>
  /** Whether input went on when somebody last came or left, and what each viewer was told of that. */
  gate: InputGate
  readonly presenceTold: WeakMap<WebSocket, string>
  /** When each watcher was last asked whether it is there. */
  readonly probedAt: WeakMap<WebSocket, number>
  /** From where each typist was asked to send again. */
  readonly holesTold: WeakMap<WebSocket, number>
  /** When somebody last typed, and which end each viewer was told of. */
  typedAt: number
  readonly noticeTold: WeakMap<WebSocket, 'idle' | 'expired' | undefined>
  /** Sockets whose role is being read again, and whether they have typed meanwhile. */
  readonly unchecked: Map<WebSocket, boolean>
}

/** Opens what outlived the memory; nothing when no shell was ever opened here. */
export function openLive(ctx: DurableObjectState, env: Env): LiveShell | undefined {
  const record = loadRecord(ctx.storage.sql)
  if (!record) return undefined
  const { sql } = ctx.storage
  const ledger = openLedger(sql)
  const recorder = openRecorder(sql)
  const tape = openTape(sql, () => recorder?.state().keptOffset ?? Number.POSITIVE_INFINITY)
  const live: LiveShell = {
    ctx,
    env,
    config: readConfig(env),
    hub: openHub(ctx),
    tape,
    ledger,
    typists: createTypists({ ledger, sync: () => ctx.storage.sync(), send: (chunk) => live.wire?.stream?.input(chunk) }),
    keeper:
      recorder &&
      createKeeper({
        recorder,
        tape,
        scope: () => objectScope(ctx, env, record.traceparent),
        onRoom: () => live.onRoom(),
        onFailed: (reason) => live.onUnrecorded(reason),
      }),
    detector: createLineDetector(record.columns, (line) => noteLine(live, line)),
    onRoom: () => undefined,
    onUnrecorded: () => undefined,
    alertScan: createAlertScan(record.alerts ?? []),
    record,
    wire: undefined,
    dialing: undefined,
    opening: undefined,
    asked: undefined,
    onAsked: () => undefined,
    attempts: 0,
    retryAt: 0,
    emptySince: Date.now(),
    checkedAt: 0,
    reporting: undefined,
    reportAt: 0,
    alarmAt: undefined,
    onEnded: new Set(),
    traffic: new Map(),
    gate: 'open',
    presenceTold: new WeakMap(),
    probedAt: new WeakMap(),
    holesTold: new WeakMap(),
    typedAt: ledger.usedAt(),
    noticeTold: new WeakMap(),
    unchecked: new Map(),
  }
  // A memory that begins has no link, whatever the one before it had.
  if (record.unlinkedAt === null && !isOver(live)) changeRecord(live, { unlinkedAt: Date.now() })
  return live
}

/** A line was entered: a mark in the recording, from which the command log has it. */
function noteLine({ keeper, tape }: LiveShell, { text, isTyped }: EnteredLine): void {
  if (!keeper) return
  const { recorder } = keeper
  if (recorder.state().recordsInput && (text !== '' || isTyped)) recorder.mark('i', tape.nextOffset(), `${text === '' ? HIDDEN : text}\r`)
  if (text !== '') recorder.mark('m', tape.nextOffset(), `${newId('cmd', Date.now())} ${text}`)
}

/** Stands for what was typed and not shown. */
const HIDDEN = '[hidden]'

/** Keeps a change of the record; a new state or reason is one that D1 must hear of. */
export function changeRecord(live: LiveShell, change: Partial<ShellRecord>): void {
  const { record } = live
  const isNews = (change.state !== undefined && change.state !== record.state) || (change.reason ?? record.reason) !== record.reason
  live.record = { ...record, ...change, version: record.version + (isNews ? 1 : 0) }
  saveRecord(live.ctx.storage.sql, live.record)
}

/** Whether the end is reached: nothing moves any more. */
export const isOver = ({ record }: Pick<LiveShell, 'record'>): boolean => record.endedAt !== null

/** A logger for what happens to this shell. */
export const logOf = ({ record }: Pick<LiveShell, 'record'>): Log =>
  logFor(traceFrom(record.traceparent), { shellId: record.shellId, orgId: record.orgId })
