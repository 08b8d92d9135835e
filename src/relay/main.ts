import { parseConfig } from './config.ts'
import { createLog, errorFields } from './log.ts'
import { startRelay } from './server.ts'

/** Runs the relay of this process's environment until SIGTERM or SIGINT; a second signal ends it at once. */
async function main(): Promise<void> {
  const config = parseConfig(process.env)
  const log = createLog({ service: 'relay', relay: config.id })
  // The log's reader may die before the relay. Unheard, each failed line would be an exception that writes the next one, without end.
  process.stdout.on('error', () => undefined)
  // One shell's bug must not end the shells of everyone else.
  process.on('uncaughtException', (error) => log.error('bug', errorFields(error)))
  process.on('unhandledRejection', (error) => log.error('bug', errorFields(error)))
  const starting = startRelay(config, log)
  let signals = 0
  const leave = (): void => {
    signals += 1
    const isFirst = signals === 1
    starting
      .then((relay) => (isFirst ? relay.drain() : relay.close()))
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error('bug', errorFields(error))
          process.exit(1)
        },
      )
  }
  process.on('SIGTERM', leave)
  process.on('SIGINT', leave)
  await starting
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : 'The relay did not start.'}\n`)
  process.exit(1)
})
