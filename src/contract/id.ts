import * as z from 'zod'

/** Crockford's alphabet in lower case: no i, l, o, u. */
export const ID_ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** 128 bits in base32: 26 characters. */
export const ID_CHARS = 26

/** A prefixed, sortable id: `<prefix>_` and a UUIDv7 in base32. */
export const prefixedId = <const P extends string>(prefix: P, title: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-7][${ID_ALPHABET}]{${ID_CHARS - 1}}$`))
    .brand<P>()
    .meta({ id: title, description: `Prefixed, sortable id (UUIDv7 in base32), as in \`${prefix}_01jd0…\`.` })

/** A moment: ISO 8601 in UTC with milliseconds. */
export const Moment = z.iso
  .datetime({ precision: 3 })
  .meta({ id: 'Moment', description: 'ISO 8601, UTC, milliseconds.', example: '2026-11-01T12:00:00.000Z' })

/** Unix milliseconds to the wire form. */
export const toMoment = (unixMs: number): string => new Date(unixMs).toISOString()

/** The version of something, as `ETag` and `If-Match` have it, quotes included. */
export const EntityTag = z
  .string()
  .regex(/^"[\x21\x23-\x7e]+"$/)
  .meta({
    id: 'EntityTag',
    description: 'RFC 9110 §8.8.3, strong: the same only while nothing of what is shown has changed.',
    example: '"pS0bK3rXhQ"',
  })

/** Longest page of any list. */
export const PAGE_ITEMS_MAX = 100

/** Query of every list: the opaque cursor of the page before, and a size. */
export const PageQuery = z.strictObject({
  cursor: z.string().min(1).max(200).optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_ITEMS_MAX).default(50),
})
/** Query of every list. */
export type PageQuery = z.output<typeof PageQuery>

/** A page of a list; `nextCursor` is absent on the last one. */
export const pageOf = <S extends z.ZodType>(item: S, title: string) =>
  z.object({ items: z.array(item), nextCursor: z.string().optional() }).meta({ id: title })

/** A name people read: trimmed, on one line, without control or direction-override characters. */
export const lineOf = (charsMax: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(charsMax)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
    .regex(/^[^\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$/, 'holds control characters')
    .transform((s) => s.normalize('NFC'))
