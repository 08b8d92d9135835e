const SCHEMA = `
CREATE TABLE IF NOT EXISTS leaves (leaf INTEGER PRIMARY KEY, is_busy INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS leaf_links (id INTEGER PRIMARY KEY CHECK (id = 1), link INTEGER NOT NULL, is_spread INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO leaf_links VALUES (1, 0, 0);`

/** What a room must know of its leaves when its memory has gone. */
export interface LeafLedger {
  /** Numbers go on with the clock, so that a leaf knows the newer link even after all here was forgotten. */
  readonly nextLink: () => number
  readonly isSpread: () => boolean
  readonly noteSpread: (isSpread: boolean) => void
  /** Something is on its way to the leaf, or was heard of it and has not taken effect. */
  readonly noteBusy: (leaf: number) => void
  /** Nothing is. */
  readonly noteRest: (leaf: number) => void
  /** The leaf holds nothing. */
  readonly forget: (leaf: number) => void
  readonly list: () => readonly { readonly leaf: number; readonly isBusy: boolean }[]
}

/** Opens the stored ledger. */
export function openLeafLedger({ sql }: DurableObjectStorage): LeafLedger {
  sql.exec(SCHEMA)
  return {
    nextLink() {
      sql.exec(SCHEMA)
      return sql.exec<{ link: number }>('UPDATE leaf_links SET link = max(link + 1, ?) RETURNING link', Date.now()).one().link
    },
    isSpread: () => sql.exec<{ isSpread: number }>('SELECT is_spread AS isSpread FROM leaf_links').one().isSpread === 1,
    noteSpread: (isSpread) => void sql.exec('UPDATE leaf_links SET is_spread = ?', isSpread ? 1 : 0),
    noteBusy(leaf) {
      sql.exec(SCHEMA)
      sql.exec('INSERT OR REPLACE INTO leaves (leaf, is_busy) VALUES (?, 1)', leaf)
    },
    noteRest: (leaf) => void sql.exec('UPDATE leaves SET is_busy = 0 WHERE leaf = ?', leaf),
    forget: (leaf) => void sql.exec('DELETE FROM leaves WHERE leaf = ?', leaf),
    list: () =>
      sql
        .exec<{ leaf: number; isBusy: number }>('SELECT leaf, is_busy AS isBusy FROM leaves')
        .toArray()
        .map(({ leaf, isBusy }) => ({ leaf, isBusy: isBusy === 1 })),
  }
}
