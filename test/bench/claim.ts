/** What a bench says of one claim: what was asked, what was seen, what was aimed at, and whether it was met. */

export interface Claim {
  readonly asked: string
  readonly seen: string
  readonly aim: string
  readonly met: boolean
  /** Whether a miss is an error of the program. A speed may be missed on a busy machine. Default `false`. */
  readonly isSpeed?: boolean
}

const columns = [54, 62, 45] as const

const cells = (...[asked, seen, aim]: readonly [string, string, string]): string =>
  `${asked.padEnd(columns[0])}  ${seen.padEnd(columns[1])}  ${aim.padEnd(columns[2])}`

/** Tells the claims one by one, and ends the process with 1 if one that is not of speed was missed. */
export const report = (): { readonly tell: (claim: Claim) => void; readonly end: () => void } => {
  let broken = 0
  let started = false
  return {
    tell: ({ aim, asked, isSpeed = false, met, seen }) => {
      if (!started) console.log(`\n${cells("asked", "seen", "aim")}\n`)
      started = true
      if (!met && !isSpeed) broken++
      console.log(`${cells(asked, seen, aim)}  ${met ? "met" : isSpeed ? "missed" : "MISSED"}`)
    },
    end: () => {
      if (broken > 0) console.error(`\n${broken} ${broken === 1 ? "claim" : "claims"} of correctness missed`)
      process.exitCode = broken > 0 ? 1 : 0
    }
  }
}

export const count = (value: number): string => Math.round(value).toLocaleString("en-US")
