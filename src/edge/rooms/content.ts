import * as Y from 'yjs'
import { Problem } from '../../contract/problem.ts'
import type { DocumentOperation } from '../../contract/room-document.ts'

/** A shared type at the top of a document. */
type Root = Y.Text | Y.Array<unknown> | Y.Map<unknown> | Y.XmlFragment

const clash = (name: string) => new Problem('conflict', { detail: `${name} is another kind of shared type.` })

const isRoot = (type: unknown): type is Root =>
  type instanceof Y.Text || type instanceof Y.Array || type instanceof Y.Map || type instanceof Y.XmlFragment

/** What the content of a root tells of its kind: updates carry the names of roots and not their kinds. */
function kindOf({ content }: Y.Item): 'text' | 'array' | 'xml' | undefined {
  if (content instanceof Y.ContentString || content instanceof Y.ContentFormat || content instanceof Y.ContentEmbed) return 'text'
  if (content instanceof Y.ContentType) return content.type instanceof Y.XmlFragment || content.type instanceof Y.XmlText ? 'xml' : 'array'
  return content instanceof Y.ContentDeleted ? undefined : 'array'
}

/** A root as the type its content says it is; nothing while it has none. */
function rootOf(doc: Y.Doc, name: string): Root | undefined {
  const type = doc.share.get(name)
  if (type === undefined || isRoot(type)) return type
  if (type._map.size > 0) return doc.getMap(name)
  for (let item = type._start; item !== null; item = item.right) {
    const kind = kindOf(item)
    if (kind === 'text') return doc.getText(name)
    if (kind === 'xml') return doc.getXmlFragment(name)
    if (kind === 'array') return doc.getArray(name)
  }
  return undefined
}

const rootsOf = (doc: Y.Doc): readonly (readonly [string, Root])[] =>
  [...doc.share.keys()].sort().flatMap((name) => {
    const root = rootOf(doc, name)
    return root ? [[name, root] as const] : []
  })

/** Every shared type as JSON; XML is told as its text. */
export const jsonOf = (doc: Y.Doc): Record<string, unknown> =>
  Object.fromEntries(
    rootsOf(doc).map(([name, root]) => [name, root instanceof Y.Text || root instanceof Y.XmlFragment ? root.toString() : root.toJSON()]),
  )

/** All that people would read in the document, a line for each block. */
export const plainTextOf = (doc: Y.Doc): string =>
  rootsOf(doc)
    .flatMap(([, root]) => linesOf(root))
    .join('\n')

function linesOf(value: unknown): string[] {
  if (value instanceof Y.Text) return [textOf(value)]
  if (value instanceof Y.XmlFragment) {
    const children = value.toArray()
    return children.some((child) => child instanceof Y.XmlText) ? [children.flatMap(linesOf).join('')] : children.flatMap(linesOf)
  }
  if (value instanceof Y.Array) return value.toArray().flatMap(linesOf)
  if (value instanceof Y.Map) return [...value.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, member]) => linesOf(member))
  return typeof value === 'string' ? [value] : []
}

/** The characters of a text without its marks. */
const textOf = (text: Y.Text): string =>
  (text.toDelta() as { readonly insert: unknown }[]).map(({ insert }) => (typeof insert === 'string' ? insert : '')).join('')

function typed<T extends Root>(doc: Y.Doc, name: string, kind: { readonly is: new () => T; readonly make: (name: string) => T }): T {
  const root = rootOf(doc, name) ?? kind.make(name)
  if (!(root instanceof kind.is)) throw clash(name)
  return root
}

const textIn = (doc: Y.Doc, name: string) => typed<Y.Text>(doc, name, { is: Y.Text, make: (n) => doc.getText(n) })
const mapIn = (doc: Y.Doc, name: string) => typed<Y.Map<unknown>>(doc, name, { is: Y.Map, make: (n) => doc.getMap(n) })
const arrayIn = (doc: Y.Doc, name: string) => typed<Y.Array<unknown>>(doc, name, { is: Y.Array, make: (n) => doc.getArray(n) })

function within(length: number, end: number): void {
  if (end > length) throw new Problem('invalid-request', { detail: 'An operation reaches beyond the end.' })
}

/** Applies one operation. @throws Problem `invalid-request` beyond the end, `conflict` for another kind of shared type */
export function operate(doc: Y.Doc, o: DocumentOperation): void {
  switch (o.op) {
    case 'text.insert': {
      const text = textIn(doc, o.name)
      within(text.length, o.index)
      return text.insert(o.index, o.text)
    }
    case 'text.delete': {
      const text = textIn(doc, o.name)
      within(text.length, o.index + o.length)
      return text.delete(o.index, o.length)
    }
    case 'text.set':
      return setText(textIn(doc, o.name), o.text)
    case 'map.set':
      return void mapIn(doc, o.name).set(o.key, o.value)
    case 'map.delete':
      return mapIn(doc, o.name).delete(o.key)
    case 'array.insert': {
      const array = arrayIn(doc, o.name)
      within(array.length, o.index)
      return array.insert(o.index, o.values)
    }
    case 'array.delete': {
      const array = arrayIn(doc, o.name)
      within(array.length, o.index + o.length)
      return array.delete(o.index, o.length)
    }
  }
}

/** Replaces only the part that differs, so that cursors and marks elsewhere stay. */
function setText(text: Y.Text, to: string): void {
  const from = text.toString()
  if (text.length !== from.length) {
    text.delete(0, text.length)
    return text.insert(0, to)
  }
  let start = 0
  while (start < Math.min(from.length, to.length) && from[start] === to[start]) start++
  let end = 0
  while (end < Math.min(from.length, to.length) - start && from.at(-1 - end) === to.at(-1 - end)) end++
  text.delete(start, from.length - end - start)
  text.insert(start, to.slice(start, to.length - end))
}

const copyOf = (value: unknown): unknown => (value instanceof Y.AbstractType ? value.clone() : value)

const asText = (value: unknown): string => JSON.stringify(value instanceof Y.AbstractType ? value.toJSON() : value) ?? ''

/** Makes a document say what another says, as new changes. @throws Problem `conflict` where a name is of another kind in each */
export function overwrite(doc: Y.Doc, by: Y.Doc): void {
  for (const name of new Set([...doc.share.keys(), ...by.share.keys()])) {
    const [to, from] = [rootOf(doc, name), rootOf(by, name)]
    if (from instanceof Y.Text) overwriteText(textIn(doc, name), from)
    else if (from instanceof Y.Map) overwriteMap(mapIn(doc, name), from)
    else if (from instanceof Y.Array) overwriteList(arrayIn(doc, name), from)
    else if (from instanceof Y.XmlFragment)
      overwriteList(typed<Y.XmlFragment>(doc, name, { is: Y.XmlFragment, make: (n) => doc.getXmlFragment(n) }), from)
    else if (to instanceof Y.Map) to.clear()
    else if (to) to.delete(0, to.length)
  }
}

function overwriteText(to: Y.Text, from: Y.Text): void {
  const [is, was] = [to.toDelta(), from.toDelta()] as { readonly insert: unknown; readonly attributes?: object }[][]
  if (JSON.stringify(is) === JSON.stringify(was)) return
  if ([...(is ?? []), ...(was ?? [])].every(({ insert, attributes }) => typeof insert === 'string' && !attributes))
    return setText(to, from.toString())
  to.delete(0, to.length)
  to.applyDelta((was ?? []).map((part) => ({ ...part, insert: copyOf(part.insert) })))
}

function overwriteMap(to: Y.Map<unknown>, from: Y.Map<unknown>): void {
  for (const key of [...to.keys()]) if (!from.has(key)) to.delete(key)
  for (const [key, value] of from.entries()) if (!to.has(key) || asText(to.get(key)) !== asText(value)) to.set(key, copyOf(value))
}

function overwriteList(to: Y.Array<unknown> | Y.XmlFragment, from: Y.Array<unknown> | Y.XmlFragment): void {
  if (to.length === from.length && asText(to) === asText(from)) return
  to.delete(0, to.length)
  const copies = (from.toArray() as unknown[]).map(copyOf)
  if (to instanceof Y.Array) to.insert(0, copies)
  else to.insert(0, copies as (Y.XmlElement | Y.XmlText)[])
}
