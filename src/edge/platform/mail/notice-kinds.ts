import type { Kind } from './kind.ts'

/** Mails that tell what happened. None shows text that whoever acted could choose: it would be theirs to lure with. */
export const NOTICE_KINDS = {
  'register-existing': {
    en: {
      subject: 'You already have a {product} account',
      heading: 'You already have an account',
      body: [
        'Somebody, perhaps you, tried to create a {product} account with this address. It already has one, so nothing was created and nothing has changed.',
        'If it was you, sign in with your password, or reset it if you have forgotten it.',
        'If it was not you, there is nothing to do. Whoever tried was not told that this account exists.',
      ],
    },
    fr: {
      subject: 'Vous avez déjà un compte {product}',
      heading: 'Vous avez déjà un compte',
      body: [
        'Quelqu’un, peut-être vous, a voulu créer un compte {product} avec cette adresse. Elle en a déjà un\u00a0: rien n’a été créé, rien n’a changé.',
        'Si c’était vous, connectez-vous avec votre mot de passe, ou réinitialisez-le si vous l’avez oublié.',
        'Si ce n’était pas vous, il n’y a rien à faire. La personne n’a pas appris que ce compte existe.',
      ],
    },
  },
  'change-existing': {
    en: {
      subject: 'This address already has a {product} account',
      heading: 'This address already has an account',
      body: [
        'Somebody, perhaps you, wanted to give another {product} account this address. It already has an account of its own, so nothing has changed.',
        'If it was you, delete one of the two accounts first, or choose another address.',
        'If it was not you, there is nothing to do. Whoever tried was not told that this account exists.',
      ],
    },
    fr: {
      subject: 'Cette adresse a déjà un compte {product}',
      heading: 'Cette adresse a déjà un compte',
      body: [
        'Quelqu’un, peut-être vous, a voulu donner cette adresse à un autre compte {product}. Elle a déjà son propre compte\u00a0: rien n’a changé.',
        'Si c’était vous, supprimez d’abord l’un des deux comptes, ou choisissez une autre adresse.',
        'Si ce n’était pas vous, il n’y a rien à faire. La personne n’a pas appris que ce compte existe.',
      ],
    },
  },
  'password-reset': {
    en: {
      subject: 'Your {product} password was reset',
      heading: 'Your password was reset',
      body: [
        'The password of your {product} account was replaced on {time}, with a code or link sent to this address. Every device was signed out.',
        'What opens your account besides the password goes on working:',
        {
          facts: [
            ['API keys', '{keys}'],
            ['Passkeys', '{passkeys}'],
            ['Authenticator app', '{app}'],
          ],
        },
        'If it was you, sign in with the new password. If you do not know all of the above, somebody who knew the old one may have added it: look through it and remove what is not yours. Resetting your password again can end all API keys.',
        { link: 'Look through my account' },
        'If it was not you, somebody can read your mail: secure your mailbox first, then reset your password again.',
      ],
    },
    fr: {
      subject: 'Votre mot de passe {product} a été réinitialisé',
      heading: 'Votre mot de passe a été réinitialisé',
      body: [
        'Le mot de passe de votre compte {product} a été remplacé le {time}, avec un code ou un lien envoyé à cette adresse. Tous les appareils ont été déconnectés.',
        'Ce qui ouvre votre compte en plus du mot de passe fonctionne toujours\u00a0:',
        {
          facts: [
            ['Clés d’API', '{keys}'],
            ['Clés d’accès', '{passkeys}'],
            ['Application d’authentification', '{app}'],
          ],
        },
        'Si c’était vous, connectez-vous avec le nouveau mot de passe. Si vous ne reconnaissez pas tout ce qui précède, quelqu’un qui connaissait l’ancien l’a peut-être ajouté\u00a0: vérifiez, et retirez ce qui n’est pas à vous. Une nouvelle réinitialisation peut mettre fin à toutes les clés d’API.',
        { link: 'Vérifier mon compte' },
        'Si ce n’était pas vous, quelqu’un peut lire votre courrier\u00a0: sécurisez d’abord votre messagerie, puis réinitialisez de nouveau votre mot de passe.',
      ],
    },
  },
  'password-changed': {
    en: {
      subject: 'Your {product} password was changed',
      heading: 'Your password was changed',
      body: [
        'The password of your {product} account was changed on {time}. All your other devices were signed out.',
        'If it was you, there is nothing to do.',
        'If it was not you, somebody knows your old password: reset it at once with “Forgot password”. That signs everybody else out.',
      ],
    },
    fr: {
      subject: 'Votre mot de passe {product} a été modifié',
      heading: 'Votre mot de passe a été modifié',
      body: [
        'Le mot de passe de votre compte {product} a été modifié le {time}. Tous vos autres appareils ont été déconnectés.',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, quelqu’un connaît votre ancien mot de passe\u00a0: réinitialisez-le tout de suite avec «\u00a0Mot de passe oublié\u00a0». Tous les autres seront déconnectés.',
      ],
    },
  },
  'account-restored': {
    en: {
      subject: 'Your {product} account was taken back',
      heading: 'The account was taken back',
      body: [
        'Your {product} account was taken back on {time}, with a link that its owner was mailed. The address of that mail holds again, sign-in methods and API keys that were added lately are removed, every device was signed out, and the account needs a new password.',
        'If it was you, choose one with “Forgot password”, at the address that the link was mailed to.',
        'If it was not you, the owner of that address has taken the account back.',
      ],
    },
    fr: {
      subject: 'Votre compte {product} a été repris',
      heading: 'Le compte a été repris',
      body: [
        'Votre compte {product} a été repris le {time}, avec un lien envoyé à son propriétaire. L’adresse de ce message vaut de nouveau, les moyens de connexion et les clés d’API ajoutés ces derniers temps sont retirés, tous les appareils sont déconnectés, et il faut un nouveau mot de passe.',
        'Si c’était vous, choisissez-le avec «\u00a0Mot de passe oublié\u00a0», à l’adresse qui a reçu le lien.',
        'Si ce n’était pas vous, le propriétaire de cette adresse a repris le compte.',
      ],
    },
  },
  'new-device': {
    en: {
      subject: 'New sign-in to your {product} account',
      heading: 'New sign-in',
      body: [
        'Somebody has signed in to your {product} account on a device that we have not seen you use before.',
        {
          facts: [
            ['Device', '{device}'],
            ['Place', '{place}'],
            ['Time', '{time}'],
          ],
        },
        'If it was you, there is nothing to do.',
        'If it was not you, that person can enter your account: change your password now. That signs everybody else out.',
      ],
    },
    fr: {
      subject: 'Nouvelle connexion à votre compte {product}',
      heading: 'Nouvelle connexion',
      body: [
        'Quelqu’un s’est connecté à votre compte {product} sur un appareil que nous ne vous connaissions pas.',
        {
          facts: [
            ['Appareil', '{device}'],
            ['Lieu', '{place}'],
            ['Date', '{time}'],
          ],
        },
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, cette personne peut entrer dans votre compte\u00a0: changez votre mot de passe tout de suite. Tous les autres seront déconnectés.',
      ],
    },
  },
  'factor-added': {
    en: {
      subject: 'A sign-in method was added to your {product} account',
      heading: 'A sign-in method was added',
      body: [
        'Your {product} account has one more way to sign in since {time}: {factor}.',
        'If it was you, there is nothing to do.',
        'If it was not you, change your password now, which signs everybody else out, and remove the method in your account.',
      ],
    },
    fr: {
      subject: 'Un moyen de connexion a été ajouté à votre compte {product}',
      heading: 'Un moyen de connexion a été ajouté',
      body: [
        'Votre compte {product} a un moyen de connexion de plus depuis le {time}\u00a0: {factor}.',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, changez votre mot de passe tout de suite, ce qui déconnecte tous les autres, et retirez ce moyen dans votre compte.',
      ],
    },
  },
  'factor-removed': {
    en: {
      subject: 'A sign-in method was removed from your {product} account',
      heading: 'A sign-in method was removed',
      body: [
        'Your {product} account has one way to sign in less since {time}: {factor}.',
        'If it was you, there is nothing to do.',
        'If it was not you, change your password now, which signs everybody else out, and add the method again.',
      ],
    },
    fr: {
      subject: 'Un moyen de connexion a été retiré de votre compte {product}',
      heading: 'Un moyen de connexion a été retiré',
      body: [
        'Votre compte {product} a un moyen de connexion de moins depuis le {time}\u00a0: {factor}.',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, changez votre mot de passe tout de suite, ce qui déconnecte tous les autres, et ajoutez de nouveau ce moyen.',
      ],
    },
  },
  'factors-removed': {
    en: {
      subject: 'The sign-in methods of your {product} account were removed',
      heading: 'Your sign-in methods were removed',
      body: [
        'On {time} an administrator removed the authenticator app, the passkeys and the recovery codes of your {product} account. Every device was signed out, and the account needs a new password.',
        'If you asked for it, choose a password with “Forgot password”, then set up a second factor again.',
        'If you did not, somebody has spoken in your name: choose a new password at once with “Forgot password”, and tell the people who run {product}.',
      ],
    },
    fr: {
      subject: 'Les moyens de connexion de votre compte {product} ont été retirés',
      heading: 'Vos moyens de connexion ont été retirés',
      body: [
        'Le {time}, un administrateur a retiré l’application d’authentification, les clés d’accès et les codes de secours de votre compte {product}. Tous les appareils ont été déconnectés, et il faut un nouveau mot de passe.',
        'Si vous l’avez demandé, choisissez un mot de passe avec «\u00a0Mot de passe oublié\u00a0», puis configurez de nouveau un second facteur.',
        'Si vous ne l’avez pas demandé, quelqu’un a parlé en votre nom\u00a0: choisissez tout de suite un nouveau mot de passe avec «\u00a0Mot de passe oublié\u00a0», et prévenez les responsables de {product}.',
      ],
    },
  },
  'password-removed': {
    en: {
      subject: 'The password of your {product} account was removed',
      heading: 'Your password was removed',
      body: [
        'Since {time} your {product} account has no password: it is signed in to by passkey. All your other devices were signed out.',
        'If it was you, there is nothing to do.',
        'If it was not you, set a new password at once with “Forgot password”. That signs everybody out.',
      ],
    },
    fr: {
      subject: 'Le mot de passe de votre compte {product} a été retiré',
      heading: 'Votre mot de passe a été retiré',
      body: [
        'Depuis le {time}, votre compte {product} n’a plus de mot de passe\u00a0: on s’y connecte avec une clé d’accès. Tous vos autres appareils ont été déconnectés.',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, choisissez tout de suite un mot de passe avec «\u00a0Mot de passe oublié\u00a0». Tout le monde sera déconnecté.',
      ],
    },
  },
  'passkey-suspect': {
    en: {
      subject: 'Check the passkeys of your {product} account',
      heading: 'One of your passkeys may have been copied',
      body: [
        'On {time} a passkey of your {product} account was used, and it counted its uses in a way that a copied one would.',
        'If you have just restored a device or a backup, there is nothing to do.',
        'If you have not, remove the passkey in your account and make a new one.',
      ],
    },
    fr: {
      subject: 'Vérifiez les clés d’accès de votre compte {product}',
      heading: 'L’une de vos clés d’accès a peut-être été copiée',
      body: [
        'Le {time}, une clé d’accès de votre compte {product} a servi, et elle a compté ses usages comme le ferait une copie.',
        'Si vous venez de restaurer un appareil ou une sauvegarde, il n’y a rien à faire.',
        'Sinon, retirez cette clé d’accès dans votre compte et créez-en une nouvelle.',
      ],
    },
  },
  'recovery-code-used': {
    en: {
      subject: 'A recovery code of your {product} account was used',
      heading: 'A recovery code was used',
      body: [
        'Somebody signed in to your {product} account on {time} with one of your recovery codes. It does not work again.',
        'If it was you, there is nothing to do; make new codes before the last one is used.',
        'If it was not you, change your password now, which signs everybody else out, and make new recovery codes.',
      ],
    },
    fr: {
      subject: 'Un code de secours de votre compte {product} a été utilisé',
      heading: 'Un code de secours a été utilisé',
      body: [
        'Quelqu’un s’est connecté à votre compte {product} le {time} avec l’un de vos codes de secours. Il ne servira plus.',
        'Si c’était vous, il n’y a rien à faire\u00a0; créez de nouveaux codes avant d’avoir utilisé le dernier.',
        'Si ce n’était pas vous, changez votre mot de passe tout de suite, ce qui déconnecte tous les autres, et créez de nouveaux codes de secours.',
      ],
    },
  },
  'api-key-made': {
    en: {
      subject: 'An API key was made for your {product} account',
      heading: 'An API key was made',
      body: [
        'A key with which programs can act for your {product} account was made on {time}.',
        'If it was you, there is nothing to do.',
        'If it was not you, revoke the key in your account and change your password now, which signs everybody else out.',
      ],
    },
    fr: {
      subject: 'Une clé d’API a été créée pour votre compte {product}',
      heading: 'Une clé d’API a été créée',
      body: [
        'Une clé avec laquelle des programmes peuvent agir pour votre compte {product} a été créée le {time}.',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, révoquez la clé dans votre compte et changez votre mot de passe tout de suite, ce qui déconnecte tous les autres.',
      ],
    },
  },
  'account-deleted': {
    en: {
      subject: 'Your {product} account is deleted',
      heading: 'Your account is deleted',
      body: [
        'You deleted your {product} account on {time}. Every device is signed out, and what we kept about you is being erased for good.',
        'There is nothing else to do. With this address you can create a new account at any time; nothing of the old one comes back.',
        'If it was not you, somebody has used one of your devices and your way to sign in: change the password wherever else you use it.',
      ],
    },
    fr: {
      subject: 'Votre compte {product} est supprimé',
      heading: 'Votre compte est supprimé',
      body: [
        'Vous avez supprimé votre compte {product} le {time}. Tous les appareils sont déconnectés, et ce que nous gardions de vous est en train d’être effacé pour de bon.',
        'Il n’y a rien d’autre à faire. Avec cette adresse, vous pouvez créer un nouveau compte à tout moment\u00a0; rien de l’ancien ne revient.',
        'Si ce n’était pas vous, quelqu’un a utilisé l’un de vos appareils et votre moyen de connexion\u00a0: changez le mot de passe partout où vous l’utilisez encore.',
      ],
    },
  },
} as const satisfies Record<string, Kind>
