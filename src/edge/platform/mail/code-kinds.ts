import { CODE, type Kind } from './kind.ts'

/** Mails that carry a proof: a code, a link, or both. Whoever did not ask is told that nothing happens. */
export const CODE_KINDS = {
  'verify-email': {
    en: {
      subject: 'Confirm your address for {product}',
      heading: 'Confirm your address',
      body: [
        'Enter this code to finish creating your {product} account:',
        CODE,
        'Or confirm with this link. On another device than the one you signed up on, it asks you to choose your password there:',
        { link: 'Confirm address' },
        'Code and link work once, for the next {term}. Nobody from {product} will ever ask you for them.',
        'If you did not create an account, ignore this message: nothing happens by itself.',
      ],
    },
    fr: {
      subject: 'Confirmez votre adresse pour {product}',
      heading: 'Confirmez votre adresse',
      body: [
        'Saisissez ce code pour terminer la création de votre compte {product}\u00a0:',
        CODE,
        'Ou confirmez avec ce lien. Sur un autre appareil que celui de votre inscription, il vous demande d’y choisir votre mot de passe\u00a0:',
        { link: 'Confirmer l’adresse' },
        'Code et lien ne servent qu’une fois, dans les {term}. Personne chez {product} ne vous les demandera jamais.',
        'Si vous n’avez pas créé de compte, ignorez ce message\u00a0: rien ne se passe tout seul.',
      ],
    },
  },
  'sign-in': {
    en: {
      subject: 'Sign in to {product}',
      heading: 'Sign in',
      body: [
        'Enter this code where you asked for it, and you are signed in to your {product} account:',
        CODE,
        'Or sign in with this link, on the device you open it on:',
        { link: 'Sign in' },
        'Code and link work once, for the next {term}. Nobody from {product} will ever ask you for them.',
        'If you did not ask to sign in, ignore this message, and give the code to nobody.',
      ],
    },
    fr: {
      subject: 'Connectez-vous à {product}',
      heading: 'Connexion',
      body: [
        'Saisissez ce code là où vous l’avez demandé, et vous êtes connecté à votre compte {product}\u00a0:',
        CODE,
        'Ou connectez-vous avec ce lien, sur l’appareil où vous l’ouvrez\u00a0:',
        { link: 'Se connecter' },
        'Code et lien ne servent qu’une fois, dans les {term}. Personne chez {product} ne vous les demandera jamais.',
        'Si vous n’avez pas demandé à vous connecter, ignorez ce message et ne donnez le code à personne.',
      ],
    },
  },
  'reset-password': {
    en: {
      subject: 'Reset your {product} password',
      heading: 'Reset your password',
      body: [
        'Enter this code to choose a new password for your {product} account:',
        CODE,
        'Or choose it on the page behind this link:',
        { link: 'Choose a new password' },
        'Code and link work once, for the next {term}. Nobody from {product} will ever ask you for them.',
        'If you did not ask for it, ignore this message: your password stays as it is.',
      ],
    },
    fr: {
      subject: 'Réinitialisez votre mot de passe {product}',
      heading: 'Réinitialisez votre mot de passe',
      body: [
        'Saisissez ce code pour choisir un nouveau mot de passe pour votre compte {product}\u00a0:',
        CODE,
        'Ou choisissez-le sur la page de ce lien\u00a0:',
        { link: 'Choisir un nouveau mot de passe' },
        'Code et lien ne servent qu’une fois, dans les {term}. Personne chez {product} ne vous les demandera jamais.',
        'Si vous n’avez rien demandé, ignorez ce message\u00a0: votre mot de passe reste le même.',
      ],
    },
  },
  'change-email': {
    en: {
      subject: 'Confirm your new address for {product}',
      heading: 'Confirm your new address',
      body: [
        'Enter this code where you are signed in to {product}, and this address becomes the one of your account:',
        CODE,
        'Or confirm with this link, on a device where you are signed in:',
        { link: 'Confirm new address' },
        'Code and link work once, for the next {term}. Nobody from {product} will ever ask you for them.',
        'If you did not ask for it, ignore this message: without you, the address is not used.',
      ],
    },
    fr: {
      subject: 'Confirmez votre nouvelle adresse pour {product}',
      heading: 'Confirmez votre nouvelle adresse',
      body: [
        'Saisissez ce code là où vous êtes connecté à {product}, et cette adresse devient celle de votre compte\u00a0:',
        CODE,
        'Ou confirmez avec ce lien, sur un appareil où vous êtes connecté\u00a0:',
        { link: 'Confirmer la nouvelle adresse' },
        'Code et lien ne servent qu’une fois, dans les {term}. Personne chez {product} ne vous les demandera jamais.',
        'Si vous n’avez rien demandé, ignorez ce message\u00a0: sans vous, l’adresse n’est pas utilisée.',
      ],
    },
  },
  'org-invitation': {
    en: {
      subject: 'You are invited to an organisation on {product}',
      heading: 'You are invited',
      body: [
        'An owner of an organisation on {product} has invited you to join it. See which one, and accept or decline, with this link:',
        { link: 'See the invitation' },
        'It takes an account with this very address; you can create one if you have none. The link works once, for the next {term}.',
        'If you expect no invitation, ignore this message: nothing happens by itself.',
      ],
    },
    fr: {
      subject: 'Vous êtes invité à rejoindre une organisation sur {product}',
      heading: 'Vous êtes invité',
      body: [
        'Un propriétaire d’une organisation sur {product} vous invite à la rejoindre. Voyez laquelle, et acceptez ou refusez, avec ce lien\u00a0:',
        { link: 'Voir l’invitation' },
        'Il faut un compte avec cette même adresse\u00a0; vous pouvez en créer un si vous n’en avez pas. Le lien ne sert qu’une fois, dans les {term}.',
        'Si vous n’attendez pas d’invitation, ignorez ce message\u00a0: rien ne se passe tout seul.',
      ],
    },
  },
  'email-changed': {
    en: {
      subject: 'The address of your {product} account was changed',
      heading: 'Your address was changed',
      body: [
        'Your {product} account has another mail address since {time}. This one is no longer used.',
        'If it was you, there is nothing to do.',
        'If it was not you, take your account back with this link. It restores this address, removes what was added lately, signs out every device and asks for a new password:',
        { link: 'Take the account back' },
        'The link works once, for the next {term}.',
      ],
    },
    fr: {
      subject: 'L’adresse de votre compte {product} a été modifiée',
      heading: 'Votre adresse a été modifiée',
      body: [
        'Votre compte {product} a une autre adresse depuis le {time}. Celle-ci n’est plus utilisée.',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, reprenez votre compte avec ce lien. Il rétablit cette adresse, retire ce qui vient d’être ajouté, déconnecte tous les appareils et demande un nouveau mot de passe\u00a0:',
        { link: 'Reprendre le compte' },
        'Le lien ne sert qu’une fois, dans les {term}.',
      ],
    },
  },
  'first-factor-added': {
    en: {
      subject: 'A sign-in method was added to your {product} account',
      heading: 'A sign-in method was added',
      body: [
        'Since {time} signing in to your {product} account also takes {factor}. All devices that had not proven it were signed out.',
        'If it was you, there is nothing to do. Keep the recovery codes where you find them without this device, and delete this message: its link undoes the change.',
        'If it was not you, somebody knows your password, and could keep you out. Take your account back with this link. It removes the method, signs out every device and asks for a new password:',
        { link: 'Take the account back' },
        'The link works once, for the next {term}.',
      ],
    },
    fr: {
      subject: 'Un moyen de connexion a été ajouté à votre compte {product}',
      heading: 'Un moyen de connexion a été ajouté',
      body: [
        'Depuis le {time}, la connexion à votre compte {product} demande aussi {factor}. Tous les appareils qui ne l’avaient pas présenté ont été déconnectés.',
        'Si c’était vous, il n’y a rien à faire. Gardez les codes de secours là où vous les retrouvez sans cet appareil, et effacez ce message\u00a0: son lien annule le changement.',
        'Si ce n’était pas vous, quelqu’un connaît votre mot de passe et pourrait vous fermer votre compte. Reprenez-le avec ce lien. Il retire ce moyen, déconnecte tous les appareils et demande un nouveau mot de passe\u00a0:',
        { link: 'Reprendre le compte' },
        'Le lien ne sert qu’une fois, dans les {term}.',
      ],
    },
  },
} as const satisfies Record<string, Kind>
