import { pageLanguage } from './words.ts'

const EN = {
  status: {
    connecting: 'Connecting…',
    open: 'Catching up…',
    waiting: 'Offline. What you write is kept here and sent when the connection is back.',
    closed: 'Disconnected',
  },
  live: 'Live',
  roles: { owner: 'owner', editor: 'editor', commenter: 'commenter', viewer: 'viewer: read-only' },
  saving: 'Saving…',
  unsaved: 'Not saved yet',
  saved: 'All changes saved',
  invitation: 'Write here. Everybody in the room sees it at once.',
  empty: 'Nothing is written yet.',
  somebody: 'Somebody',
  member: 'Member',
  you: 'you',
  line: 'line',
  sending: 'Sending…',
  deleted: 'This message was deleted.',
  answers: 'Reply to',
  edits: 'Edit your message',
  readBy: 'Read by',
  writes: 'is writing…',
  write: 'are writing…',
  gone: 'an earlier message',
  reactWith: 'React with',
}

/** What the page of a room says. */
type RoomSaid = typeof EN

const FR: RoomSaid = {
  status: {
    connecting: 'Connexion…',
    open: 'Mise à jour…',
    waiting: 'Hors ligne. Ce que vous écrivez est gardé ici et envoyé dès que la connexion revient.',
    closed: 'Déconnecté',
  },
  live: 'En direct',
  roles: { owner: 'propriétaire', editor: 'rédacteur', commenter: 'commentateur', viewer: 'spectateur\u00a0: lecture seule' },
  saving: 'Enregistrement…',
  unsaved: 'Pas encore enregistré',
  saved: 'Tout est enregistré',
  invitation: 'Écrivez ici. Tout le monde dans la salle le voit aussitôt.',
  empty: 'Rien n’est encore écrit.',
  somebody: 'Quelqu’un',
  member: 'Membre',
  you: 'vous',
  line: 'ligne',
  sending: 'Envoi…',
  deleted: 'Ce message a été supprimé.',
  answers: 'Réponse à',
  edits: 'Modifier votre message',
  readBy: 'Lu par',
  writes: 'écrit…',
  write: 'écrivent…',
  gone: 'un message plus ancien',
  reactWith: 'Réagir par',
}

/** What to say in a room, in the language of the page. */
export const roomSaid = (): RoomSaid => ({ en: EN, fr: FR })[pageLanguage()]

/** Names in a row, as one says them. */
export const listed = (names: readonly string[]): string => new Intl.ListFormat(pageLanguage(), { type: 'conjunction' }).format(names)
