/** `floodgate models` */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { config } from "./configCommand.js"
import * as Flag from "./flags.js"

/** Which endpoints are meant; by default all that are configured. */
export const endpointOptions = {
  config,
  provider: Flag.text(
    "provider",
    "NAME",
    "Only this provider, or the endpoint with this id. Default: all endpoints of the config file, or openai"
  ),
  model: Flag.text("model", "NAME", "Only endpoints of this model; without a config file, the model to ask"),
  baseUrl: Flag.text("base-url", "URL", "Address of the API. Default: the provider's own")
}

const options = {
  ...endpointOptions,
  configured: Options.boolean("configured").pipe(
    Options.withDescription("Tell of the endpoints themselves, and ask no server")
  ),
  timeout: Flag.text("timeout", "TIME", "Longest to wait for a server. Default: 30s"),
  json: Options.boolean("json").pipe(Options.withDescription("Print JSON, and errors as JSON on stderr"))
}

export type ModelsFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const modelsCommand = Command.make("models", options)
