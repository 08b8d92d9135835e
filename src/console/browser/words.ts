import { ACCOUNT_FAULTS, type AccountFault } from '../../contract/account-faults.ts'
import { Locale, PASSWORD_CHARS_MIN } from '../../contract/identity.ts'
import { PROBLEMS, type ProblemSlug } from '../../contract/problem.ts'

type Texts<K extends string> = Readonly<Record<K, string>>

const PROBLEMS_EN = Object.fromEntries(Object.entries(PROBLEMS).map(([slug, { title }]) => [slug, title])) as Texts<ProblemSlug>

const EN = {
  addressConfirmed: 'Your address is confirmed. Sign in to continue.',
  confirmTitle: 'Confirm your address',
  createTitle: 'Create an account',
  sentAgain: 'sent again',
  copied: 'Copied',
  really: 'Really',
  question: '?',
  unknownDevice: 'Unknown device',
  thisDevice: 'This device',
  on: 'on',
  off: 'off',
  left: 'left',
  none: 'none',
  unused: 'not used yet',
  used: 'used',
  unreachable: 'The service could not be reached.',
  checkConnection: 'Check your connection and try again.',
  passkeyKnown: 'This device already has a passkey of yours.',
  passkeyUnused: 'No passkey was used.',
  passkeyUnusedWhy: 'It was declined, took too long, or this device has none.',
  misfit: 'This page and the service do not fit.',
  reload: 'Reload the page.',
  tryAgainIn: 'Try again in',
  bySomebody: 'by somebody else',
  byNobody: 'by somebody who had not signed in',
  bySystem: 'by the service',
  missing: 'Fill this in.',
  short: 'This is too short.',
  long: 'This is too long.',
  noAddress: 'This is no mail address.',
  misshapen: 'This does not have the right form.',
  problems: PROBLEMS_EN,
  faults: ACCOUNT_FAULTS as Texts<AccountFault>,
}

/** What the scripts of pages say. */
export type Said = typeof EN

const FR: Said = {
  addressConfirmed: 'Votre adresse est confirmée. Connectez-vous pour continuer.',
  confirmTitle: 'Confirmez votre adresse',
  createTitle: 'Créer un compte',
  sentAgain: 'renvoyé',
  copied: 'Copié',
  really: 'Vraiment',
  question: '\u00a0?',
  unknownDevice: 'Appareil inconnu',
  thisDevice: 'Cet appareil',
  on: 'activée',
  off: 'désactivée',
  left: 'restants',
  none: 'aucun',
  unused: 'pas encore utilisée',
  used: 'utilisée le',
  unreachable: 'Le service n’a pas pu être joint.',
  checkConnection: 'Vérifiez votre connexion et réessayez.',
  passkeyKnown: 'Cet appareil a déjà une clé d’accès à vous.',
  passkeyUnused: 'Aucune clé d’accès n’a servi.',
  passkeyUnusedWhy: 'Elle a été refusée, a pris trop de temps, ou cet appareil n’en a pas.',
  misfit: 'Cette page et le service ne vont pas ensemble.',
  reload: 'Rechargez la page.',
  tryAgainIn: 'Réessayez dans',
  bySomebody: 'par quelqu’un d’autre',
  byNobody: 'par quelqu’un qui n’était pas connecté',
  bySystem: 'par le service',
  missing: 'Remplissez ce champ.',
  short: 'C’est trop court.',
  long: 'C’est trop long.',
  noAddress: 'Ce n’est pas une adresse.',
  misshapen: 'Cela n’a pas la bonne forme.',
  problems: {
    'invalid-request': 'Cette saisie ne convient pas.',
    'code-invalid': 'Ce code ou ce lien est faux, déjà utilisé ou expiré.',
    'passkey-invalid': 'Cette clé d’accès n’a pas été acceptée.',
    unauthenticated: 'Connectez-vous pour continuer.',
    'credentials-invalid': 'L’adresse ou le mot de passe est faux.',
    'session-ended': 'Cette session est terminée\u00a0: reconnectez-vous.',
    'refresh-reused': 'Un ancien jeton est revenu\u00a0: la session a été terminée.',
    'sign-in-ended': 'Cette connexion a pris trop de temps ou d’essais\u00a0: recommencez.',
    'ticket-invalid': 'Ce ticket est faux, déjà utilisé ou expiré.',
    forbidden: 'Votre rôle ne le permet pas.',
    'scope-missing': 'Cette clé d’API n’en a pas le droit.',
    'origin-untrusted': 'Cette origine ne peut pas agir avec des cookies.',
    'step-up-required': 'Prouvez de nouveau que c’est vous.',
    'access-required': 'Demandez à un propriétaire l’accès à cet hôte.',
    'command-forbidden': 'L’organisation ne permet pas cette commande.',
    'hook-refused': 'La vérification propre à l’organisation a refusé cela.',
    'hook-failed': 'La vérification propre à l’organisation n’a pas tranché\u00a0: rien n’a commencé.',
    'file-denied': 'L’hôte ou l’organisation ne permet pas cela avec ce fichier.',
    'file-not-found': 'L’hôte n’a rien à cet endroit.',
    'file-exists': 'Il y a déjà quelque chose de ce nom.',
    'file-failed': 'L’hôte n’a pas pu faire cela avec le fichier\u00a0: son disque est peut-être plein.',
    'target-forbidden': 'Le relais ne peut pas joindre cette cible.',
    'not-found': 'Il n’y a rien ici pour vous.',
    'method-not-allowed': 'Ce chemin ne répond pas à cette méthode.',
    conflict: 'Cela contredit ce qui est déjà là.',
    'last-admin': 'Quelqu’un d’autre doit d’abord être administrateur.',
    'limit-reached': 'Une limite est atteinte\u00a0: il faut d’abord retirer quelque chose.',
    'quota-reached': 'L’organisation a utilisé tout ce qu’elle peut ce mois-ci.',
    'host-unsuited': 'Ce genre d’hôte ne sait pas faire cela\u00a0: ouvrez-y un terminal.',
    'host-key-unknown': 'L’hôte présente une clé que personne n’a acceptée.',
    'host-key-mismatch': 'L’hôte présente une autre clé que celle acceptée.',
    gone: 'Cela a été supprimé.',
    'precondition-failed': 'Cela a changé depuis que vous l’avez lu\u00a0: relisez.',
    'payload-too-large': 'C’est plus grand que ce qui est accepté.',
    'media-type-unsupported': 'Ce format n’est pas accepté.',
    'upgrade-required': 'Ce chemin ne parle que WebSocket.',
    'precondition-required': 'Il faut dire quelle version vous changez.',
    'rate-limited': 'Trop de tentatives\u00a0: attendez avant de réessayer.',
    internal: 'Une erreur s’est produite de notre côté.',
    'host-unreachable': 'L’hôte n’a pas répondu comme un serveur SSH.',
    'host-refused': 'L’hôte a refusé l’identifiant ou la demande.',
    unavailable: 'Un service nécessaire ne répond pas\u00a0: réessayez bientôt.',
  },
  faults: {
    passwordShort: `doit avoir ${PASSWORD_CHARS_MIN} caractères ou plus`,
    passwordSame: 'est déjà votre mot de passe',
    passwordRepeats: 'répète quelques caractères',
    passwordService: 'contient le nom de ce service',
    passwordAddress: 'contient votre adresse',
    passwordLikeAddress: 'ressemble trop à votre adresse',
    passwordCommon: 'est parmi les mots de passe les plus courants',
    passwordPieces: 'est fait de mots de passe courants, de suites de touches ou de répétitions',
    passwordBreached: 'a été vu dans une fuite de données',
    passwordAlone: 'Votre mot de passe est trop court pour rester seul\u00a0: choisissez-en d’abord un plus long.',
    emailSame: 'est déjà votre adresse',
    lastMethod: 'C’est votre dernier moyen de vous connecter.',
    noPasskey: 'Ajoutez d’abord une clé d’accès.',
    noFactor: 'Configurez d’abord une application d’authentification ou une clé d’accès.',
    hasTotp: 'Retirez d’abord l’application d’authentification qui est configurée.',
    soleOwner: 'Transférez ou supprimez d’abord ce que vous seul possédez',
  },
}

/** The language the page is written in. */
export const pageLanguage = (): Locale => Locale.catch('en').parse(document.documentElement.lang)

/** What to say, in the language of the page. */
export const said = (): Said => ({ en: EN, fr: FR })[pageLanguage()]

/** How dates are written: as the browser does where it speaks the language of the page. */
export const dateLocale = (): string | undefined => (navigator.language.split('-')[0] === pageLanguage() ? undefined : pageLanguage())

const FAULTS = Object.entries(ACCOUNT_FAULTS) as [AccountFault, string][]

/** A detail of the service in the language of the page, as far as it is known. */
export function detailSaid(detail: string): string {
  const [fault, text] = FAULTS.find(([, known]) => detail.startsWith(known)) ?? []
  return fault === undefined || text === undefined ? detail : said().faults[fault] + detail.slice(text.length)
}
