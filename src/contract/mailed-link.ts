import * as z from 'zod'

/** The pages that mailed links lead to, below the console's origin or the one of your app, by what they are for. */
export const MAILED_PAGES = {
  registration: '/register/confirm',
  'sign-in': '/login/mail',
  'password-reset': '/password/reset',
  'email-change': '/app/email',
  'account-restore': '/account/restore',
  'org-invitation': '/app/invitation',
} as const

/** What a mailed link is for. */
export type MailedLinkKind = keyof typeof MAILED_PAGES

/** Where a mailed link leads: an origin of `CORS_ORIGINS`, whose app serves {@link MAILED_PAGES}. Absent: to the pages of the console. */
export const MailedApp = z
  .string()
  .max(300)
  .refine((s) => URL.canParse(s) && new URL(s).origin === s, 'is an origin, without a path')
  .optional()
  .meta({
    id: 'MailedApp',
    description: 'Leads the mailed link to your app: an origin that CORS_ORIGINS lists. Absent: to the pages of the console.',
    example: 'https://app.example.org',
  })
