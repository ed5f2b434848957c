/** `floodgate estimate INPUT` */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import {
  budgetOptions,
  cacheOptions,
  endpointOptions,
  formatOption,
  inputOptions,
  parameterOptions,
  promptOptions,
  providerBatchOption,
  samplesOption,
  selectionOptions
} from "./batchCommand.js"
import { textOptions } from "./embedCommand.js"
import * as Flag from "./flags.js"

const { optional } = Flag

const options = {
  ...inputOptions,
  output: optional(
    Options.text("output").pipe(
      Options.withAlias("o"),
      Options.withPseudoName("FILE"),
      Options.withDescription("File of an earlier run: what it answers already is left out")
    )
  ),
  ...formatOption,
  ...selectionOptions,
  ...promptOptions,
  embed: Options.boolean("embed").pipe(
    Options.withDescription("Estimate floodgate embed, with its --text, --dimensions and --purpose")
  ),
  ...textOptions,
  ...endpointOptions,
  ...providerBatchOption,
  ...budgetOptions,
  ...parameterOptions,
  ...cacheOptions,
  ...samplesOption,
  typicalAnswer: optional(
    Options.withDescription(
      Flag.wholeNumber("typical-answer"),
      "Tokens of a typical answer. Default: the mean of stored answers, or 128"
    )
  ),
  longestAnswer: optional(
    Options.withDescription(
      Flag.wholeNumber("longest-answer"),
      "Tokens of the longest answer to a request that sets no end. Default: 2048"
    )
  ),
  json: Options.boolean("json").pipe(Options.withDescription("Print JSON, with amounts in US dollars"))
}

/** What the command line says, as it was written. */
export type EstimateFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const estimateCommand = Command.make("estimate", options).pipe(
  Command.withDescription("Tell what floodgate batch would cost and how long it would take. Nothing is sent")
)
