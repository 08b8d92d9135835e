interface Metric {
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly labels: readonly string[]
}

/** Every metric there is: names as Prometheus has them (`parvis_`, unit last), so that no two features call one thing by two. */
export const METRICS = {
  parvis_mail_sent_today: { type: 'gauge', help: 'Mails that a way has carried since midnight UTC.', labels: ['way'] },
  parvis_mail_failed_today: { type: 'gauge', help: 'Tries of a way that failed since midnight UTC.', labels: ['way'] },
  parvis_mail_quota_today: { type: 'gauge', help: 'Mails that a way may carry a day; absent where nothing bounds it.', labels: ['way'] },
  parvis_mail_quota_used_ratio: { type: 'gauge', help: 'Part of the quota of a way that is used, 0 to 1.', labels: ['way'] },
  parvis_mail_way_resting: { type: 'gauge', help: '1 while a way that failed is left alone.', labels: ['way'] },
  parvis_mail_queued: { type: 'gauge', help: 'Mails that wait to be sent.', labels: [] },
  parvis_outbox_waiting: { type: 'gauge', help: 'Effects that wait to be carried out.', labels: [] },
  parvis_outbox_oldest_seconds: { type: 'gauge', help: 'Age of the oldest effect that waits.', labels: [] },
  parvis_outbox_dead: { type: 'gauge', help: 'Effects that were given up.', labels: [] },
  parvis_shells: { type: 'gauge', help: 'Shells that live, by state.', labels: ['state'] },
  parvis_shell_commands_running: { type: 'gauge', help: 'Commands and transfers that hold a connection.', labels: [] },
  parvis_shell_runs: { type: 'gauge', help: 'Commands on many hosts that are under way.', labels: [] },
  parvis_shell_seconds_month: { type: 'gauge', help: 'Seconds of what has ended since the month began in UTC.', labels: [] },
  parvis_shell_output_bytes_month: {
    type: 'gauge',
    help: 'Bytes that hosts sent of what has ended since the month began in UTC.',
    labels: [],
  },
  parvis_shell_hook_answers_today: {
    type: 'gauge',
    help: 'What hooks that decide have answered since midnight UTC: allow, refuse, or how they failed.',
    labels: ['point', 'outcome'],
  },
  parvis_rooms_active: { type: 'gauge', help: 'Rooms that hold sockets.', labels: [] },
  parvis_room_sockets: { type: 'gauge', help: 'Sockets that rooms hold, by framing.', labels: ['framing'] },
  parvis_room_leaves: { type: 'gauge', help: 'Objects that hold sockets for rooms which outgrew their own.', labels: [] },
  parvis_room_stored_bytes: { type: 'gauge', help: 'Bytes that the objects of rooms store.', labels: [] },
  parvis_room_awake_seconds_today: { type: 'gauge', help: 'Seconds that rooms were in memory since midnight UTC.', labels: [] },
  parvis_room_joins_today: { type: 'gauge', help: 'Sockets that rooms let in since midnight UTC.', labels: ['framing'] },
  parvis_room_declines_today: {
    type: 'gauge',
    help: 'Sockets that the Worker let pass and their room did not, since midnight UTC.',
    labels: ['problem'],
  },
  parvis_room_closes_today: { type: 'gauge', help: 'Sockets that rooms closed for a reason since midnight UTC.', labels: ['problem'] },
  parvis_room_messages_today: { type: 'gauge', help: 'Messages since midnight UTC: accepted, or why not.', labels: ['outcome'] },
  parvis_room_updates_today: { type: 'gauge', help: 'Changes of documents since midnight UTC: accepted, or why not.', labels: ['outcome'] },
  parvis_room_slow_today: {
    type: 'gauge',
    help: 'Since midnight UTC, clients that read too slowly: behind for a stream that went on without them, closed for a socket.',
    labels: ['outcome'],
  },
  parvis_room_promotions_today: { type: 'gauge', help: 'Rooms that outgrew their object since midnight UTC.', labels: [] },
  parvis_push_today: {
    type: 'gauge',
    help: 'Pushes to devices since midnight UTC: sent, later, gone (the subscription was deleted), denied or refused.',
    labels: ['outcome'],
  },
  parvis_metrics_source_up: { type: 'gauge', help: '0 where the part could not say how it stands.', labels: ['source'] },
} as const satisfies Readonly<Record<string, Metric>>

/** The Unix day of a moment: what is told of a day is counted under it. */
export const dayOf = (at: number): number => Math.floor(at / 86_400_000)

/** The name of a metric. */
export type MetricName = keyof typeof METRICS

type Labels<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]['labels'][number], string>>

/** One value of a metric now. */
export interface Sample {
  readonly name: MetricName
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
}

/** A value with exactly the labels of its metric. */
export const sample = <N extends MetricName>(name: N, value: number, labels: Labels<N>): Sample => ({ name, value, labels })

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

function lineOf({ name, value, labels }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`
}

/** The samples as Prometheus reads them (text format 0.0.4): those of one metric stand together under what it is. */
export function exposition(samples: readonly Sample[]): string {
  return (Object.entries(METRICS) as [MetricName, Metric][])
    .map(([name, { type, help }]) => {
      const lines = samples.filter((s) => s.name === name).map(lineOf)
      return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
    })
    .join('')
}
