import { PASSWORD_CHARS_MIN } from './identity.ts'

/** What can be in the way of a change of one's account, in the words of `detail`; a page in another language knows it by them. */
export const ACCOUNT_FAULTS = {
  passwordShort: `needs ${PASSWORD_CHARS_MIN} characters or more`,
  passwordSame: 'is the password you already have',
  passwordRepeats: 'repeats a few characters',
  passwordService: 'contains the name of this service',
  passwordAddress: 'contains your address',
  passwordLikeAddress: 'is too much like your address',
  passwordCommon: 'is among the most common passwords',
  passwordPieces: 'is made of common passwords, runs of keys or repetitions',
  passwordBreached: 'is known from a data breach',
  passwordAlone: 'Your password is too short to stand alone: choose a longer one first.',
  emailSame: 'is your address already',
  lastMethod: 'It is the last way to sign in.',
  noPasskey: 'Set up a passkey first.',
  noFactor: 'Set up an authenticator app or a passkey first.',
  hasTotp: 'Remove the authenticator app that is set up first.',
  soleOwner: 'Transfer or delete first what you alone own',
} as const

/** What can be in the way of a change of one's account. */
export type AccountFault = keyof typeof ACCOUNT_FAULTS
