import * as fc from 'fast-check'

/** As much of JSON Schema as the contract says its requests in. */
export interface Schema {
  readonly $ref?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly type?: string
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly propertyNames?: Schema
  readonly additionalProperties?: Schema | boolean
}

/** What values are drawn with: the schemas that others point to, and ids that name something, by their prefix. */
interface Known {
  readonly schemas: Readonly<Record<string, Schema>>
  readonly ids: Readonly<Record<string, string>>
  /** How many schemas this one is inside of: what nests without end is drawn to some depth. */
  readonly depth?: number
}

/** What is longer says no more; a body has room for it. */
const CHARS_MAX = 200
const ITEMS_MAX = 4
const DEPTH_MAX = 4

/** Values that a schema allows, and its bounds more often than chance would. */
export function drawnFrom(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  const { schemas, depth = 0 } = known
  if (depth > DEPTH_MAX) return fc.constant(null)
  if (schema.$ref !== undefined) return drawnFrom(schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {}, { ...known, depth: depth + 1 })
  const any = schema.anyOf ?? schema.oneOf
  if (any) return fc.oneof(...any.map((one) => drawnFrom(one, known)))
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  switch (schema.type) {
    case 'string':
      return drawnText(schema, known)
    case 'integer':
    case 'number': {
      const { minimum: min = -1e6, maximum: max = 1e6 } = schema
      return fc.oneof(
        fc.constantFrom(min, max),
        schema.type === 'integer' ? fc.integer({ min, max }) : fc.double({ min, max, noNaN: true }),
      )
    }
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array': {
      const minLength = schema.minItems ?? 0
      const maxLength = Math.max(minLength, Math.min(schema.maxItems ?? ITEMS_MAX, ITEMS_MAX))
      return fc.array(drawnFrom(schema.items ?? {}, known), { minLength, maxLength })
    }
    case 'object':
      return drawnObject(schema, known)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function drawnText({ pattern, format, minLength = 0, maxLength = CHARS_MAX }: Schema, { ids }: Known): fc.Arbitrary<string> {
  if (format === 'uri') return fc.oneof(fc.constant('https://app.example.net/hook'), fc.webUrl())
  if (format === 'date-time') return fc.date({ noInvalidDate: true, min: new Date(0) }).map((date) => date.toISOString())
  if (format === 'email') return fc.emailAddress()
  const longest = Math.max(minLength, Math.min(maxLength, CHARS_MAX))
  if (pattern === undefined) return fc.string({ unit: 'grapheme', minLength, maxLength: longest })
  const matching = fc
    .stringMatching(new RegExp(pattern, 'u'), { maxLength: longest })
    .filter((text) => text.length >= minLength && text.length <= maxLength)
  const id = ids[/^\^([a-z]{2,3}_)\[/.exec(pattern)?.[1] ?? '']
  return id === undefined ? matching : fc.oneof(fc.constant(id), matching)
}

function drawnObject({ properties = {}, required = [], propertyNames, additionalProperties }: Schema, known: Known): fc.Arbitrary<object> {
  const fields = fc.record(Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, drawnFrom(field, known)])), {
    requiredKeys: [...required],
    noNullPrototype: true,
  })
  if (typeof additionalProperties !== 'object' || !propertyNames) return fields
  const names = drawnFrom(propertyNames, known) as fc.Arbitrary<string>
  const more = fc.dictionary(names, drawnFrom(additionalProperties, known), { maxKeys: ITEMS_MAX, noNullPrototype: true })
  return fc.tuple(fields, more).map(([own, others]) => ({ ...others, ...own }))
}
