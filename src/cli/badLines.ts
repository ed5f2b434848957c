/** Lines that cannot be used, told by their reasons: what ails all lines of a file is said once. */

/** How many reasons are told, and how many lines of each are named. */
const mostReasons = 5
const namedLines = 3

export interface BadLines {
  readonly add: (line: number, reason: string) => void
  readonly count: () => number
  /** A line for each reason, in the order of the file. */
  readonly told: () => ReadonlyArray<string>
}

/** `line 3`, `lines 1, 2, 3 and 39 more`. */
const placeOf = (lines: ReadonlyArray<number>, count: number): string => {
  const more = count > lines.length ? ` and ${count - lines.length} more` : ""
  return `line${count === 1 ? "" : "s"} ${lines.join(", ")}${more}`
}

export const make = (): BadLines => {
  const found = new Map<string, { readonly lines: Array<number>; count: number }>()
  let all = 0
  let told = 0
  return {
    add: (line, reason) => {
      all++
      const same = found.get(reason)
      if (same === undefined && found.size === mostReasons) return
      told++
      if (same === undefined) {
        found.set(reason, { lines: [line], count: 1 })
        return
      }
      same.count++
      if (same.lines.length < namedLines) same.lines.push(line)
    },
    count: () => all,
    told: () => [
      ...Array.from(found, ([reason, { count, lines }]) => `${placeOf(lines, count)}: ${reason}`),
      ...(all > told ? [`and ${all - told} more`] : [])
    ]
  }
}
