/** Rows of texts as a table for a terminal. */

/** Columns as wide as their widest cell, two spaces apart; columns to the right of `texts` hold numbers. */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>, texts: number): string => {
  const widths: Array<number> = []
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, at) =>
        at < texts ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)
      )
      return `${cells.join("  ").trimEnd()}\n`
    })
    .join("")
}
