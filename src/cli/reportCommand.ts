/** `floodgate report RUN --output report.html` */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Flag from "./flags.js"

const { optional, text } = Flag

const number = (name: string, description: string) =>
  optional(Options.withDescription(Flag.number(name), description))

const options = {
  run: Args.text({ name: "RUN" }).pipe(
    Args.withDescription(
      "The output of a run, finished or not: of any format, as long as its outcomes are there"
    )
  ),
  output: optional(
    Options.text("output").pipe(
      Options.withAlias("o"),
      Options.withPseudoName("FILE"),
      Options.withDescription("File for the page. Default: RUN.html")
    )
  ),
  receipt: text(
    "receipt",
    "FILE",
    "The receipt of the run: what was paid, saved and paid in vain, and the time it took"
  ),
  calls: text("calls", "FILE", "The call log of the run: what happened when, and what was asked"),
  title: text("title", "TEXT", "What the page is called. Default: the name of RUN"),
  rows: Options.withDefault(
    Options.withDescription(
      Flag.wholeNumber("rows"),
      "Most rows to search on the page; of more, the failures, the slowest, the dearest and an even sample. Default: 5000"
    ),
    5_000
  ),
  rps: number("rps", "The limit that the run had, to be drawn beside what it used: requests a second"),
  rpm: number("rpm", "The same, requests a minute"),
  tpm: number("tpm", "The same, tokens a minute"),
  itpm: number("itpm", "The same, input tokens a minute"),
  otpm: number("otpm", "The same, output tokens a minute")
}

/** What the command line says, as it was written. */
export type Flags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const reportCommand = Command.make("report", options).pipe(
  Command.withDescription(
    "Make a page of a run: throughput, latency, tokens, cost, errors, and its rows to search"
  )
)
