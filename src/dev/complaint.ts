/** Something the person at the keyboard can mend; its message is the one sentence that is shown. */
export class Complaint extends Error {
  override readonly name = 'Complaint'
}

/** The `code` of a system error. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
