import type { Locale } from '../../contract/identity.ts'

const EN = {
  room: 'Room',
  connecting: 'Connecting…',
  text: 'Shared text',
  textTab: 'Text',
  here: 'In the room',
  rename: 'Change your name',
  yourName: 'Your name in rooms',
  name: 'Name',
  nameHint: 'Others in a room see it, also while you are away.',
  useName: 'Use this name',
  conversation: 'Conversation',
  noMessage: 'Nobody has said anything yet.',
  write: 'Message',
  send: 'Send',
  cancel: 'Cancel',
  viewer: 'Viewers read along.',
  reply: 'Reply',
  edit: 'Edit',
  remove: 'Delete',
  edited: 'edited',
  newest: 'Newest messages',
  older: 'Older messages',
}

/** The texts of a room's page. */
type RoomWords = typeof EN

const FR: RoomWords = {
  room: 'Salle',
  connecting: 'Connexion…',
  text: 'Texte partagé',
  textTab: 'Texte',
  here: 'Dans la salle',
  rename: 'Changer de nom',
  yourName: 'Votre nom dans les salles',
  name: 'Nom',
  nameHint: 'Les autres le voient dans une salle, même en votre absence.',
  useName: 'Prendre ce nom',
  conversation: 'Conversation',
  noMessage: 'Personne n’a encore rien dit.',
  write: 'Message',
  send: 'Envoyer',
  cancel: 'Annuler',
  viewer: 'Les spectateurs lisent sans écrire.',
  reply: 'Répondre',
  edit: 'Modifier',
  remove: 'Supprimer',
  edited: 'modifié',
  newest: 'Derniers messages',
  older: 'Messages plus anciens',
}

/** The texts of a room's page, by language. */
export const ROOM_WORDS: Readonly<Record<Locale, RoomWords>> = { en: EN, fr: FR }
