/** The ways in which a server says when to come back, and the wait that each is to be read as. */
import type * as Simulator from "floodgate/Simulator"
import type { Subject } from "./subjects.js"

export interface HintCase {
  readonly hint: Simulator.Hint
  /** What the server means, in milliseconds. */
  readonly meant: number
  /** What is to be read: never less than was said, and more only by what the server's clock leaves out. */
  readonly least: (subject: Subject) => number
  readonly most: (subject: Subject) => number
  readonly applies: (subject: Subject) => boolean
}

const everywhere = () => true

const exactly = (millis: number) => ({ least: () => millis, most: () => millis })

// a server's clock as it stands in its answers is a whole second
const clock = 2_100

/** Azure speaks in whole seconds. */
const spoken = ({ provider }: Subject): number => (provider === "azure" ? 6_000 : 5_289)

export const hintCases: ReadonlyArray<HintCase> = [
  { hint: "headers", meant: 3_000, ...exactly(3_000), applies: everywhere },
  { hint: "seconds", meant: 2_300, ...exactly(3_000), applies: everywhere },
  { hint: "fraction", meant: 2_500, ...exactly(2_500), applies: everywhere },
  { hint: "date", meant: 5_000, least: () => 5_000, most: () => 5_000 + clock, applies: everywhere },
  { hint: "millis", meant: 1_500, ...exactly(1_500), applies: everywhere },
  { hint: "text", meant: 5_289, least: spoken, most: spoken, applies: everywhere },
  {
    hint: "details",
    meant: 34_400,
    ...exactly(34_400),
    applies: ({ provider }) => provider === "gemini" || provider === "vertex"
  },
  {
    hint: "reset",
    meant: 4_000,
    least: () => 4_000,
    most: () => 4_000 + clock,
    applies: ({ tellsReset }) => tellsReset === true
  }
]
