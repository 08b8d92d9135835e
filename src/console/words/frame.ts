import type { Locale } from '../../contract/identity.ts'

const EN = {
  skip: 'Skip to content',
  main: 'Main',
  signIn: 'Sign in',
  signOut: 'Sign out',
  dashboard: 'Dashboard',
  account: 'Account',
  forPrograms: 'For programs',
  reference: 'API reference',
  signingKeys: 'Signing keys',
  health: 'Health',
  scripts: 'The console talks to the API from your browser, so it needs scripts.',
  toDashboard: 'To the dashboard',
  close: 'Close',
  notices: 'Notifications',
  noNotice: 'Nothing new.',
  readAll: 'Mark all as read',
  loading: 'Loading…',
  more: 'Show more',
  missingTitle: 'Not found',
  missing: 'Nothing is here.',
  missingWhy: 'The address may be mistyped, or what it named is gone.',
}

/** The texts around what a page is about. */
type FrameWords = typeof EN

const FR: FrameWords = {
  skip: 'Aller au contenu',
  main: 'Principale',
  signIn: 'Connexion',
  signOut: 'Déconnexion',
  dashboard: 'Tableau de bord',
  account: 'Compte',
  forPrograms: 'Pour les programmes',
  reference: 'Référence de l’API',
  signingKeys: 'Clés de signature',
  health: 'État',
  scripts: 'La console parle à l’API depuis votre navigateur\u00a0: elle a besoin de scripts.',
  toDashboard: 'Vers le tableau de bord',
  close: 'Fermer',
  notices: 'Notifications',
  noNotice: 'Rien de nouveau.',
  readAll: 'Tout marquer comme lu',
  loading: 'Chargement…',
  more: 'En montrer plus',
  missingTitle: 'Introuvable',
  missing: 'Il n’y a rien ici.',
  missingWhy: 'L’adresse est peut-être mal écrite, ou ce qu’elle nommait n’existe plus.',
}

/** The texts around what a page is about, by language. */
export const FRAME_WORDS: Readonly<Record<Locale, FrameWords>> = { en: EN, fr: FR }
