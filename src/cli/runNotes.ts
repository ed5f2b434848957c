/** What a user should know of a run beside its figures. */
import type * as Context from "effect/Context"
import * as Option from "effect/Option"
import type * as Checkpoint from "../Checkpoint.js"
import { counted } from "../internal/countText.js"
import type { Checked } from "./checkInput.js"

/** What opening the output found. */
export const opened = (
  { found }: Context.Tag.Service<Checkpoint.Checkpoint>,
  output: string,
  { chosen }: Checked
): ReadonlyArray<string> => [
  ...(found.success + found.failed === 0
    ? []
    : [
        `${output}: ${found.success} answers of an earlier run, ${found.failed} failures${chosen === undefined ? " to try again" : ""}`
      ]),
  ...(chosen === undefined
    ? []
    : [
        `${counted(chosen.rows, "row")} chosen${chosen.rows < chosen.of ? ` of ${chosen.of}` : ""}${found.success + found.failed === 0 ? "" : "; the others keep the outcomes they have"}`
      ]),
  ...Option.match(found.cut, {
    onNone: () => [],
    onSome: ({ bytes }) => [
      `${output}: its last line was cut off in mid-write (${bytes} bytes); it is done again`
    ]
  }),
  ...(found.corrupt === 0 ? [] : [`${output}: ${found.corrupt} unreadable lines passed over`])
]

/** Answers that no line of the input asks for any more. */
export const setAside = (n: number, output: string): string =>
  `${counted(n, "answer")} that ${n === 1 ? "is" : "are"} no longer asked for ${n === 1 ? "was" : "were"} set aside in ${output}.superseded.jsonl, and ${n === 1 ? "is" : "are"} used again when asked for`
