/** `floodgate test` */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Flag from "./flags.js"
import { endpointOptions } from "./modelsCommand.js"

const options = {
  ...endpointOptions,
  timeout: Flag.text("timeout", "TIME", "Longest to wait for an answer. Default: 30s"),
  json: Options.boolean("json").pipe(Options.withDescription("Print JSON, and errors as JSON on stderr"))
}

export type TestFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const testCommand = Command.make("test", options)
