/** Looks until what is looked for is there; for states that announce themselves to nobody. The test's own time limit bounds it. */
export async function until<T>(look: () => Promise<T | undefined | null | false>): Promise<T> {
  for (;;) {
    const seen = await look()
    if (seen) return seen
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
