import type { NotificationContent } from '../../contract/inbox.ts'
import { pageLanguage } from './words.ts'

const EN = {
  invited: 'You are invited to an organisation.',
  joined: 'You are a member of an organisation now.',
  removed: 'You are no longer a member of an organisation.',
  seated: 'You have a seat in a room:',
  unseated: 'Your seat in a room was taken away.',
  device: 'A new device signed in:',
  news: 'Something happened.',
  roles: { owner: 'owner', editor: 'editor', commenter: 'commenter', viewer: 'viewer' },
}

const FR: typeof EN = {
  invited: 'Vous êtes invité dans une organisation.',
  joined: 'Vous êtes maintenant membre d’une organisation.',
  removed: 'Vous n’êtes plus membre d’une organisation.',
  seated: 'Vous avez une place dans une salle\u00a0:',
  unseated: 'Votre place dans une salle a été retirée.',
  device: 'Un nouvel appareil s’est connecté\u00a0:',
  news: 'Il s’est passé quelque chose.',
  roles: { owner: 'propriétaire', editor: 'rédacteur', commenter: 'commentateur', viewer: 'spectateur' },
}

/** What a notification says, in the language of the page. */
export function noticeSaid(content: NotificationContent): string {
  const words = { en: EN, fr: FR }[pageLanguage()]
  switch (content.kind) {
    case 'org-invited':
      return words.invited
    case 'org-member':
      return content.role === null ? words.removed : words.joined
    case 'room-member':
      return content.role === null ? words.unseated : `${words.seated} ${words.roles[content.role]}.`
    case 'new-device':
      return `${words.device} ${[content.browser, content.system, content.country].filter(Boolean).join(', ')}`
    default:
      return words.news
  }
}

/** Where it leads. */
export function addressOf(content: NotificationContent): string {
  if (content.kind === 'room-member' && content.role !== null) return `/app/rooms/${content.roomId}`
  return content.kind === 'new-device' ? '/app/account' : '/app'
}
