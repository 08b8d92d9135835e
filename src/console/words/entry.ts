import { TRUST_DAYS } from '../../contract/factors.ts'
import { CODE_DIGITS, type Locale, PASSWORD_CHARS_MIN } from '../../contract/identity.ts'

const EN = {
  signIn: 'Sign in',
  email: 'Email',
  password: 'Password',
  usePasskey: 'Use a passkey',
  mailInstead: 'Mail me a link instead',
  forgotten: 'Forgot password?',
  newHere: 'New here?',
  create: 'Create an account',
  createNow: 'Create account',
  already: 'Already have one?',
  mailLanguage: 'Language of mails',
  passwordHint: `${PASSWORD_CHARS_MIN} characters or more. A short sentence is easy to remember and hard to guess.`,
  mailedTo: `A mail with a code of ${CODE_DIGITS} digits and a link is on its way to`,
  bothUntil: 'Both work until',
  code: 'Code',
  codeTitle: `${CODE_DIGITS} digits`,
  confirm: 'Confirm address',
  noMail: 'No mail? Look in the spam folder,',
  again: 'have it sent again',
  or: ', or',
  restart: 'start again',
  factorTitle: 'Second factor',
  factorHeading: 'Confirm it is you',
  factorLead: 'Enter the code that your authenticator app shows now, or one of your recovery codes.',
  trust: `Trust this browser for ${TRUST_DAYS} days`,
  startAgain: 'Start again',
}

/** The texts of the pages before somebody is signed in. */
type EntryWords = typeof EN

const FR: EntryWords = {
  signIn: 'Se connecter',
  email: 'Adresse',
  password: 'Mot de passe',
  usePasskey: 'Utiliser une clé d’accès',
  mailInstead: 'M’envoyer plutôt un lien',
  forgotten: 'Mot de passe oublié\u00a0?',
  newHere: 'Première visite\u00a0?',
  create: 'Créer un compte',
  createNow: 'Créer le compte',
  already: 'Vous en avez déjà un\u00a0?',
  mailLanguage: 'Langue des messages',
  passwordHint: `${PASSWORD_CHARS_MIN} caractères ou plus. Une courte phrase se retient bien et se devine mal.`,
  mailedTo: `Un message avec un code de ${CODE_DIGITS} chiffres et un lien est en route vers`,
  bothUntil: 'Les deux servent jusqu’à',
  code: 'Code',
  codeTitle: `${CODE_DIGITS} chiffres`,
  confirm: 'Confirmer l’adresse',
  noMail: 'Pas de message\u00a0? Regardez dans les indésirables,',
  again: 'faites-le renvoyer',
  or: ', ou',
  restart: 'recommencez',
  factorTitle: 'Second facteur',
  factorHeading: 'Confirmez que c’est vous',
  factorLead: 'Saisissez le code que montre votre application d’authentification, ou l’un de vos codes de secours.',
  trust: `Faire confiance à ce navigateur pendant ${TRUST_DAYS} jours`,
  startAgain: 'Recommencer',
}

/** The texts of the pages before somebody is signed in, by language. */
export const ENTRY_WORDS: Readonly<Record<Locale, EntryWords>> = { en: EN, fr: FR }
