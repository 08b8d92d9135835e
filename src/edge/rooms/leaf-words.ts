import type { ProblemSlug } from '../../contract/problem.ts'
import type { LiveStream } from '../../contract/room-live.ts'
import type { StreamNews } from './outlet.ts'
import type { Arrival, Place } from './place.ts'

/** What a room has a leaf do. Frames are finished: a leaf sends them as they are. */
export type Order =
  /** Lets a socket in, or says why not. */
  | { readonly kind: 'answer'; readonly id: string; readonly slug: ProblemSlug | null }
  /** Changes what is known of a socket. */
  | { readonly kind: 'place'; readonly id: string; readonly change: Partial<Place> }
  /** Sends to one socket; a frame too large for one call comes in parts. */
  | { readonly kind: 'frame'; readonly id: string; readonly data: string | Uint8Array; readonly isLast: boolean }
  | { readonly kind: 'close'; readonly id: string; readonly code: number; readonly reason: string }
  /** Sends to all who follow the document. */
  | { readonly kind: 'document'; readonly frames: readonly Uint8Array[] }
  /** Sends to all who subscribe messages; the first event has this number. */
  | { readonly kind: 'messages'; readonly text: string; readonly seq: number }
  /** Sends news to all who subscribe a stream, but to one. */
  | ({ readonly kind: 'stream'; readonly except: string | null } & StreamNews)
  /** Closes every socket that was let in: what they were told is in doubt. */
  | { readonly kind: 'cut' }

/** Orders on their way to a leaf. */
export interface Delivery {
  /** Which link between the two they belong to; links are counted, and an older one is heard no more. */
  readonly link: number
  /** Which call of that link it is. */
  readonly call: number
  readonly orders: readonly Order[]
}

/** What became of a delivery. */
export interface Receipt {
  readonly isObeyed: boolean
  /** Every socket the leaf holds, if its memory went since the last call. */
  readonly roll: readonly string[] | null
}

/** What a leaf tells its room. */
export type Word =
  /** Somebody knocks; the room answers whether they may come in. */
  | { readonly kind: 'arrival'; readonly id: string; readonly arrival: Arrival }
  | { readonly kind: 'frame'; readonly id: string; readonly data: ArrayBuffer | string }
  /** A frame that is too large to be passed on. */
  | { readonly kind: 'unread'; readonly id: string; readonly bytes: number }
  /** A socket is gone; with the reason where the leaf has closed it. */
  | { readonly kind: 'left'; readonly id: string; readonly code: number; readonly slug?: ProblemSlug }
  /** The client has left so much unread that it gets no more of a stream. */
  | { readonly kind: 'behind'; readonly id: string; readonly stream: LiveStream }

/** How much a frame of a client holds, in bytes or UTF-16 units. */
export const lengthOf = (data: ArrayBuffer | string): number => (typeof data === 'string' ? data.length : data.byteLength)

/** Words on their way to a room. */
export interface Report {
  /** Number of the leaf. */
  readonly leaf: number
  /** Every socket the leaf holds, after its memory went; null while it has kept it. */
  readonly roll: readonly string[] | null
  readonly words: readonly Word[]
}

/** A socket as a leaf remembers it. */
export interface Held {
  readonly id: string
  readonly place: Place
}
