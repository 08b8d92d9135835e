/** Where to go after signing in: a page of ours that was asked for, never another origin. */
export function nextPage(search: string): string {
  const next = new URLSearchParams(search).get('next') ?? ''
  return /^\/app(\/[a-z0-9_/]+)?$/.test(next) ? next : '/app'
}
