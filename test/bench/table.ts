import { fire, median, pace, type Round, type Shot } from './load.ts'

const ROUNDS = 3
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4)
const CONNECTIONS = 16

/** A measurement: what it is of, what it is held against, and the bar. */
export interface Row {
  readonly name: string
  readonly mine: Shot
  readonly other: Shot
  /** Throughput at full speed, or the time of one call after another. */
  readonly by: 'throughput' | 'latency'
  readonly bar: { readonly ratioMin?: number; readonly ratioMax?: number; readonly p50MsMax?: number }
}

interface Measured {
  readonly mine: Round
  readonly other: Round
  readonly ratio: number
}

/** A call that moves on starts each round where the last one ended. */
const moving = new Map<string, string>()

async function shootOn(shot: Shot, shoot: (shot: Shot) => Promise<Round>): Promise<Round> {
  if (!shot.next) return shoot(shot)
  let body = moving.get(shot.name) ?? shot.body
  const round = await shoot({
    ...shot,
    ...(body === undefined ? {} : { body }),
    next: (answer) => {
      body = shot.next?.(answer)
      return body ?? ''
    },
  })
  if (body !== undefined) moving.set(shot.name, body)
  return round
}

/** Rounds alternate between the two sides, so a busy neighbour meets both. */
async function measure(row: Row): Promise<Measured> {
  const shoot = (shot: Shot) => (row.by === 'throughput' ? fire(shot, { connections: CONNECTIONS, seconds: SECONDS }) : pace(shot, SECONDS))
  const pairs: { readonly mine: Round; readonly other: Round }[] = []
  await shootOn(row.other, shoot)
  for (let i = 0; i < ROUNDS; i++) {
    const other = await shootOn(row.other, shoot)
    pairs.push({ other, mine: await shootOn(row.mine, shoot) })
  }
  const of = (side: 'mine' | 'other', key: keyof Round) => median(pairs.map((p) => p[side][key]))
  const round = (side: 'mine' | 'other'): Round => ({
    perSecond: of(side, 'perSecond'),
    p50Ms: of(side, 'p50Ms'),
    p99Ms: of(side, 'p99Ms'),
    failures: Math.max(...pairs.map((p) => p[side].failures)),
  })
  const isTime = row.bar.ratioMax !== undefined
  const ratio = median(pairs.map(({ mine, other }) => (isTime ? mine.p50Ms / other.p50Ms : mine.perSecond / other.perSecond)))
  return { mine: round('mine'), other: round('other'), ratio }
}

/** Whether a value keeps to its bar, as the table says it. */
export const said = (bar: string, isMet: boolean): string => `${bar} ${isMet ? 'met' : 'MISSED'}`

function verdict({ bar }: Row, { mine, other, ratio }: Measured): string {
  if (mine.failures + other.failures > 0) return `FAILED: ${mine.failures} and ${other.failures} bad answers`
  const checks = [
    ...(bar.ratioMin === undefined ? [] : [said(`≥ ${bar.ratioMin}`, ratio >= bar.ratioMin)]),
    ...(bar.ratioMax === undefined ? [] : [said(`≤ ${bar.ratioMax}`, ratio <= bar.ratioMax)]),
    ...(bar.p50MsMax === undefined ? [] : [said(`p50 < ${bar.p50MsMax} ms`, mine.p50Ms < bar.p50MsMax)]),
  ]
  return checks.length === 0 ? '–' : checks.join(', ')
}

const rounded = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))

/** Measures rows and prints each as soon as it is known. */
export async function printTable(rows: readonly Row[]): Promise<void> {
  console.log('\n| what | ours | theirs | ratio | p50 ms | p99 ms | bar |\n| --- | --- | --- | --- | --- | --- | --- |')
  for (const row of rows) {
    const m = await measure(row)
    const cells = [
      row.name,
      `${rounded(m.mine.perSecond)}/s`,
      `${rounded(m.other.perSecond)}/s`,
      m.ratio.toFixed(2),
      rounded(m.mine.p50Ms),
      rounded(m.mine.p99Ms),
      verdict(row, m),
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}
