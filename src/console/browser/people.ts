import * as z from 'zod'
import type { Room } from '../../client/client.ts'
import { roomSaid } from './room-words.ts'

/** Longest name shown, in UTF-16 units. */
const NAME_CHARS_MAX = 40

/** Colours that hold on light and on dark paper. */
const COLORS = ['#c2553d', '#b07d1e', '#5f8a2f', '#2a8f6d', '#2b86b0', '#5a6fd0', '#9257c2', '#c2497f'] as const

/** What somebody says they are called. People's programs are their own: what does not fit is replaced, never trusted. */
export const SaidName = z
  .string()
  .trim()
  .min(1)
  .transform((name) => name.slice(0, NAME_CHARS_MAX))

const Shown = z.object({ name: SaidName })

/** The colour of a user, everywhere the same. */
export const colorOf = (userId: string): string =>
  COLORS[[...userId].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 997, 0) % COLORS.length] ?? COLORS[0]

/** A name that says nothing about the person. */
export const plainName = (userId: string): string => `${roomSaid().member} ${userId.slice(-4)}`

/** What people of a room are called, as far as this page has heard. */
export interface People {
  readonly nameOf: (userId: string) => string
}

/** Follows what people in a room are called. */
export function followNames(room: Room, changed: () => void): People {
  const names = new Map<string, string>()
  function hear(): void {
    let isNews = false
    for (const { userId, state } of room.presence.state.members) {
      const name = Shown.safeParse(state).data?.name
      if (name === undefined || names.get(userId) === name) continue
      names.set(userId, name)
      isNews = true
    }
    if (isNews) changed()
  }
  room.on('presence', hear)
  room.on('names', changed)
  hear()
  return { nameOf: (userId) => names.get(userId) ?? room.nameOf(userId)?.slice(0, NAME_CHARS_MAX) ?? plainName(userId) }
}

/** Makes a round mark of somebody: the first letter of the name on their colour. */
export function drawFace(face: HTMLElement, { name, color }: { readonly name: string; readonly color: string }): void {
  face.textContent = [...new Intl.Segmenter().segment(name)][0]?.segment.toUpperCase() ?? ''
  face.style.backgroundColor = color
}
