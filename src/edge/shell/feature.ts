import type { Feature } from '../http/feature.ts'
import { MEMBER_CHANGED, ORG_DELETED } from '../orgs/service.ts'
import { TELL_HOOK, tellHook } from './hook-news.ts'
import { HOST_DELETED } from './hosts.ts'
import { relayProbe, secretsProbe } from './probe.ts'
import { REACH_CHANGED } from './reach-policy.ts'
import { KEYFRAMES_WANTED, makeKeyframes } from './recording-seek.ts'
import { sweepRecordings } from './recording-sweep.ts'
import { sweepSecrets } from './rewrap.ts'
import { mountShell } from './routes.ts'
import { eraseShellsOf, exportShells } from './service.ts'
import { sweepAnswers, sweepCommands, sweepShells } from './sweep.ts'
import { applyMember, applyReach, closeOnHost, forgetOrg } from './upkeep.ts'
import { shellMetrics } from './usage.ts'

export const shell: Feature = {
  name: 'shell',
  mount: mountShell,
  personalData: { export: exportShells, erase: eraseShellsOf },
  sweeps: { commands: sweepCommands, shells: sweepShells, secrets: sweepSecrets, recordings: sweepRecordings, hooks: sweepAnswers },
  consumers: {
    [MEMBER_CHANGED]: applyMember,
    [HOST_DELETED]: closeOnHost,
    [ORG_DELETED]: forgetOrg,
    [REACH_CHANGED]: applyReach,
    [TELL_HOOK]: tellHook,
    [KEYFRAMES_WANTED]: makeKeyframes,
  },
  metrics: shellMetrics,
  probes: { relay: relayProbe, secrets: secretsProbe },
}
