import type * as z from 'zod'
import type { Endpoint } from '../contract/endpoint.ts'
import type { endpoints } from '../contract/registry.ts'

type Given<S> = S extends z.ZodType ? z.input<S> : never

/** Query values as the service reads them; those left out or undefined are not sent. */
type GivenQuery<S> = S extends z.ZodType
  ? { readonly [K in keyof z.input<S>]: (K extends keyof z.output<S> ? z.output<S>[K] : never) | undefined }
  : never

type Part<Name extends string, Schema, Value> = [Given<Schema>] extends [undefined]
  ? { readonly [N in Name]?: undefined }
  : Record<never, never> extends Value
    ? { readonly [N in Name]?: Value }
    : { readonly [N in Name]: Value }

type Condition<E> = E extends { readonly ifMatch?: infer C }
  ? true extends C
    ? { readonly ifMatch: string }
    : { readonly ifMatch?: undefined }
  : never

/** The bytes of a file. A stream is sent once: where the call has to be repeated for a fresh token, it rejects with `unauthenticated`. */
export type Uploadable = string | Blob | ArrayBuffer | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>

type Upload<E> = E extends { readonly stream?: infer S }
  ? 'upload' extends S
    ? { readonly bytes: Uploadable }
    : { readonly bytes?: undefined }
  : never

/** What a call takes: `params`, `query`, `body`, `bytes` and `ifMatch`, each exactly where the operation has one. */
export type Input<E> =
  E extends Endpoint<infer P, infer Q, infer B, z.ZodType>
    ? Part<'params', P, Given<P>> & Part<'query', Q, GivenQuery<Q>> & Part<'body', B, Given<B>> & Condition<E> & Upload<E>
    : never

/** Parts of an answer as they come. Whoever leaves the loop, or closes, lets the rest go; taking slowly slows whoever sends. */
export interface Parts<T> extends AsyncIterable<T> {
  readonly close: () => void
}

/** A file as it comes. Read its `body`, or cancel it. */
export interface Download {
  /** Its length, when that is known. */
  readonly bytes: number | undefined
  readonly body: ReadableStream<Uint8Array>
}

type Streamed<S, R> = S extends 'lines' | 'events' ? Parts<R> : S extends 'bytes' ? Download : R

/** What a call answers; operations that answer nothing give `undefined`. */
export type Answer<E> =
  E extends Endpoint<z.ZodType, z.ZodType, z.ZodType, infer R>
    ? E extends { readonly stream?: infer S }
      ? Streamed<S, z.output<R>>
      : never
    : never

/** The last argument of every call. */
export interface CallOptions {
  /** Gives up waiting: the call rejects with the signal's reason. What was sent may still be carried out. */
  readonly signal?: AbortSignal | undefined
}

type Method<E> =
  Record<never, never> extends Input<E>
    ? (input?: Input<E>, options?: CallOptions) => Promise<Answer<E>>
    : (input: Input<E>, options?: CallOptions) => Promise<Answer<E>>

type Endpoints = typeof endpoints

/**
 * One method per operation, under its id: `client.createRoom({ body: { name } })`. Each rejects with
 * the `Problem`s its operation lists, `NetworkError` or `ContractError`.
 */
export type Api = { readonly [Id in keyof Endpoints]: Method<Endpoints[Id]> }

type Scoped = {
  [Id in keyof Endpoints]: Endpoints[Id] extends { readonly scope?: infer K } ? ([K] extends [undefined] ? never : Id) : never
}[keyof Endpoints]

/** As {@link Api}, of the operations that an API key may carry out, each within its scope: others reject with `scope-missing`. */
export type KeyApi = Pick<Api, Scoped>

/** The input of any operation, as the code sees it. */
export interface AnyInput {
  readonly params?: Readonly<Record<string, string>> | undefined
  readonly query?: Readonly<Record<string, unknown>> | undefined
  readonly body?: unknown
  readonly bytes?: Uploadable | undefined
  readonly ifMatch?: string | undefined
}
