/** `floodgate embed INPUT --output OUT` */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import {
  budgetOptions,
  cacheOptions,
  endpointOptions,
  inputOptions,
  outputOption,
  providerBatchOption,
  reportOptions,
  selectionOptions
} from "./batchCommand.js"
import { purposes } from "./embedRecord.js"
import { inputFormats } from "./fileFormat.js"
import * as Flag from "./flags.js"

const { optional } = Flag

/** What texts are made of records. */
export const textOptions = {
  text: Flag.text(
    "text",
    "TEMPLATE",
    "Text made from a record's fields: '{{title}} {{body}}'. Default: its field text, or input"
  ),
  dimensions: optional(
    Options.withDescription(
      Flag.wholeNumber("dimensions"),
      "Length of the vectors, where the model can shorten them"
    )
  ),
  purpose: optional(
    Flag.choice("purpose", purposes).pipe(
      Options.withDescription("What the vectors are for, where the model tells that apart")
    )
  )
}

const options = {
  ...inputOptions,
  ...outputOption,
  format: optional(
    // a file of any input format is written too
    Flag.choice("format", inputFormats).pipe(
      Options.withDescription(
        "Format of the output. Default: by its ending, or jsonl. A table (csv, tsv) has the input's columns and the vector's, named answer_… where the input has one of that name"
      )
    )
  ),
  encoding: optional(
    Flag.choice("encoding", { float: "float", base64: "base64" } as const).pipe(
      Options.withDescription(
        "How vectors are written: float, a list of numbers (the default), or base64, the bytes of little-endian 32-bit floats, in a third of the room"
      )
    )
  ),
  ...selectionOptions,
  ...textOptions,
  ...endpointOptions,
  ...providerBatchOption,
  ...budgetOptions,
  ...cacheOptions,
  ...reportOptions
}

/** What the command line says, as it was written. */
export type EmbedFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const embedCommand = Command.make("embed", options).pipe(
  Command.withDescription(
    "Turn the texts of a file into vectors. Run again, the same command does only what is missing"
  )
)
