import * as z from 'zod'
import type { TokenMode } from '../contract/identity.ts'

/** What a device keeps over sign-outs. It opens nothing by itself. */
export const DeviceMarks = z.object({
  /** What tells the device from others, so that its user is not told of each sign-in as of one on a new device. */
  deviceToken: z.string().optional(),
  /** What leaves the second factor out on a device that its user trusts. */
  trustToken: z.string().optional(),
})
/** What a device keeps over sign-outs. */
export type DeviceMarks = z.infer<typeof DeviceMarks>

/** Where a device keeps what outlives its sessions. In cookie mode cookies do, and this is left alone. */
export interface DeviceStore {
  readonly read: () => DeviceMarks | undefined | Promise<DeviceMarks | undefined>
  readonly write: (marks: DeviceMarks) => void | Promise<void>
}

/** Marks that live as long as the program. */
export function memoryDevice(): DeviceStore {
  let marks: DeviceMarks | undefined
  return {
    read: () => marks,
    write(next) {
      marks = next
    },
  }
}

/** What sign-ins show of the device, and what they have it keep. */
export interface DeviceKeeper {
  readonly shown: () => Promise<DeviceMarks>
  readonly keep: (marks: DeviceMarks) => Promise<void>
}

/** Keeps what tells a device from others. */
export function keepDevice(mode: TokenMode, store: DeviceStore): DeviceKeeper {
  // Whatever else is in there is as good as nothing.
  const shown = async () => (mode === 'cookie' ? {} : (DeviceMarks.safeParse(await store.read()).data ?? {}))
  return {
    shown,
    async keep({ deviceToken, trustToken }) {
      if (mode === 'cookie' || (deviceToken === undefined && trustToken === undefined)) return
      await store.write({
        ...(await shown()),
        ...(deviceToken !== undefined && { deviceToken }),
        ...(trustToken !== undefined && { trustToken }),
      })
    },
  }
}
